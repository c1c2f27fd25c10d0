"""Models with a known fault, for Triton's Python backend: what a preflight has to find, and what it must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

_SOURCES = Path(__file__).parent / "planted"


@dataclass(frozen=True, slots=True)
class Planted:
    """One model: FP32 input `x` and output `y`, 4 values each; unless the fault says otherwise, y = 2 x."""

    source: str
    """Module in tests/support/planted."""
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    max_batch: int = 128
    delay_us: int = 0
    decoupled: bool = False


PLANTED: Mapping[str, Planted] = {
    "clean": Planted("timed"),
    "constant": Planted("timed", {"fixed_ms": 10}, max_batch=64),
    "linear": Planted("timed", {"fixed_ms": 6, "item_ms": 1}, max_batch=64),
    "cliff": Planted("timed", {"fixed_ms": 6, "item_ms": 0.5, "cliff_at": 64, "cliff_factor": 3}),
    "neighbours": Planted("neighbours"),
    "nondeterministic": Planted("nondeterministic"),
    "switched": Planted("switched"),
    "leaking": Planted("leaking", {"leak_bytes": 1024}),
    "caching": Planted("caching", {"entries": 1000, "entry_bytes": 8192}),
    "arena": Planted("arena", {"step_bytes": 8 << 20}),
    "decoupled": Planted("decoupled", decoupled=True),
    "crashing": Planted("failing", {"at": 64, "how": "crash"}),
    "raising": Planted("failing", {"at": 64, "how": "raise"}),
    "hanging": Planted("failing", {"at": 64, "how": "hang"}),
}


def plant(
    repository: Path, name: str, *, as_name: str | None = None, version: int = 1, **parameters: float | str
) -> Path:
    """Writes the planted model `name`, with other parameters if any, into a Triton repository; returns its folder."""
    planted = PLANTED[name]
    changed = replace(planted, parameters={**planted.parameters, **parameters})
    return plant_model(repository, as_name or name, changed, version)


def plant_model(repository: Path, name: str, planted: Planted, version: int = 1) -> Path:
    """Writes a model under any name, and returns its folder."""
    folder = repository / name
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.py").write_bytes((_SOURCES / f"{planted.source}.py").read_bytes())
    parameters = "\n".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in planted.parameters.items()
    )
    filled = {
        "NAME": folder.name,
        "MAX_BATCH": str(planted.max_batch),
        "DELAY_US": str(planted.delay_us),
        "PARAMETERS": parameters,
        "DECOUPLED": str(planted.decoupled).lower(),
    }
    config = (_SOURCES / "config.pbtxt").read_text().partition("\n")[2]
    for word, text in filled.items():
        config = config.replace(word, text)
    (folder / "config.pbtxt").write_text(config)
    return folder
