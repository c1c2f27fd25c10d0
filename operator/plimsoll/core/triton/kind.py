"""What the configuration that a model server tells says about the kind of its model."""

from __future__ import annotations

from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Kind:
    """A model's.

    Attributes:
        keeps_state: Its answers depend on the requests before, as far as it says so itself.
        parts: Models that it is an ensemble of, which may keep a state, too.
    """

    keeps_state: bool
    parts: tuple[str, ...] = ()


def kind_of(config: bytes) -> Kind | None:
    """Returns what the answer to `GET /v2/models/NAME/config` says; None where that is no configuration.

    A model that calls others from its own code (BLS) tells nothing of them.
    """
    try:
        read = orjson.loads(config)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(read, dict) or "name" not in read:
        return None
    ensemble = read.get("ensemble_scheduling", {})
    steps = ensemble.get("step", []) if isinstance(ensemble, dict) else None
    if not isinstance(steps, list):
        return None
    told = [step.get("model_name") for step in steps if isinstance(step, dict)]
    names = [name for name in told if isinstance(name, str) and name]
    if len(names) < len(steps):
        return None
    return Kind("sequence_batching" in read, tuple(dict.fromkeys(names)))
