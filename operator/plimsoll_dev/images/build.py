"""Builds an image once per content: the same sources give the archive that is already there."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images import registry
from plimsoll_dev.images.cache import content_key, exclusively, files_below, obtain, prune
from plimsoll_dev.images.engines import Engine, Order, Stage, choose_engine

CHECKOUT = Path(__file__).resolve().parents[3]
ARCHIVES_KEPT = 3
"""Per image: the current one, that of the branch one comes from, and one to spare."""

# What the Dockerfile copies for each of its targets.
SOURCES: Mapping[str, Sequence[str]] = {
    "operator": (
        "Dockerfile",
        "requirements.lock",
        "requirements-compile.lock",
        "operator/plimsoll_dev/images/compile_hot_path.py",
        "operator/plimsoll",
    ),
    "triton-cpu": (
        "Dockerfile",
        "requirements-triton.lock",
        "operator/plimsoll_dev/images/triton_cpu.py",
        "operator/triton-cpu/onnxruntime",
    ),
}
# The stages that install packages, and what decides them.
SLOW_STAGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "operator": ("operator-packages", ("Dockerfile", "requirements.lock", "requirements-compile.lock")),
    "triton-cpu": (
        "triton-server",
        ("Dockerfile", "requirements-triton.lock", "operator/plimsoll_dev/images/triton_cpu.py"),
    ),
}
REGISTRY = "registry"
TARGETS: Sequence[str] = (*SOURCES, REGISTRY)
_USUALLY: Mapping[str, str] = {"operator": "2 minutes", "triton-cpu": "40 seconds", REGISTRY: "15 seconds"}


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: an OCI archive, and the reference it is tagged with.

    Attributes:
        archive: In the cache, outside the checkout.
        reference: `localhost/plimsoll/TARGET:KEY`; the tag is the content key.
    """

    archive: Path
    reference: str


def build(target: str, progress: Progress | None = None) -> tuple[Path, str]:
    """The archive and the reference of an image, built now unless the cache has it.

    Raises:
        Invalid: There is no such target, or the build failed.
    """
    if target not in TARGETS:
        raise Invalid("UnknownImage", f"There is no image '{target}'. Choose from {', '.join(TARGETS)}.")
    progress = progress or Progress()
    folder = cache_folder(os.environ) / "images"
    folder.mkdir(parents=True, exist_ok=True)
    image = _build(target, choose_engine(folder, progress), folder, progress)
    return image.archive, image.reference


def image_key(target: str, files: Mapping[str, bytes], engine_facts: Sequence[str]) -> str:
    """What decides an image: its target, the files it is made from, the machine's architecture, engine and base."""
    return content_key([target, platform.machine(), *engine_facts], files)


def _build(target: str, engine: Engine, folder: Path, progress: Progress) -> Image:
    files = _files(target)
    key = image_key(target, files, engine.facts)
    reference = f"localhost/plimsoll/{target}:{key}"

    def make(archive: Path) -> None:
        with (
            progress.step(f"building image {target} (usually {_USUALLY[target]})"),
            tempfile.TemporaryDirectory(dir=archive.parent) as context,
        ):
            _write(files, Path(context))
            if target == REGISTRY:
                registry.add_program(Path(context))
            slow = _slow_stage(target, files, engine)
            engine.build(Order(Path(context), None if target == REGISTRY else target, slow, reference, archive))

    archives = folder / target
    archive = obtain(archives / f"{key}.tar", make, progress)
    with exclusively(archives, progress):
        prune(archives, "*.tar", ARCHIVES_KEPT)
    return Image(archive, reference)


def _slow_stage(target: str, files: Mapping[str, bytes], engine: Engine) -> Stage | None:
    if target not in SLOW_STAGES:
        return None
    name, decisive = SLOW_STAGES[target]
    return Stage(name, image_key(name, {file: files[file] for file in decisive}, engine.facts))


def _files(target: str) -> Mapping[str, bytes]:
    """The build context, read once: an edit during the build changes neither the image nor its key."""
    if target == REGISTRY:
        return {"Dockerfile": registry.CONTAINERFILE.encode(), "config.yml": registry.CONFIGURATION.encode()}
    return files_below(CHECKOUT, SOURCES[target])


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
