"""The two programs that build images: Docker where its engine answers, else buildah, which needs no daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from plimsoll_dev.cluster.packages import install
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.base import CONTAINERFILE, base_archive, base_key
from plimsoll_dev.images.cache import exclusively
from plimsoll_dev.images.commands import run

BASE_REPOSITORY = "localhost/plimsoll/base"

_CA_BUNDLES = ("PIP_CERT", "SSL_CERT_FILE")
_SYSTEM_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_CA_BUNDLE_IN_BUILD = "/run/ca-bundle.pem"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the Dockerfile that takes long and seldom changes; `key` stands for all that decides it."""

    name: str
    key: str

    @property
    def repository(self) -> str:
        """Of the images kept of this stage."""
        return f"localhost/plimsoll/stage-{self.name}"

    @property
    def reference(self) -> str:
        """The name of its image."""
        return f"{self.repository}:{self.key}"


@dataclass(frozen=True, slots=True)
class Order:
    """What to build.

    Attributes:
        context: Folder with a Dockerfile and what that copies.
        target: The stage that is the image; the last one, if None.
        slow: A stage on the way worth keeping between builds, if any.
        reference: The image's name.
        archive: The file to write.
    """

    context: Path
    target: str | None
    slow: Stage | None
    reference: str
    archive: Path


class Engine(Protocol):
    """What builds an image."""

    @property
    def facts(self) -> Sequence[str]:
        """What decides the image beside its context: part of the cache key."""

    def build(self, order: Order) -> None:
        """Build an image into an OCI archive that holds nothing else.

        Raises:
            Invalid: The build failed; the message has the end of its output.
        """


@dataclass(frozen=True, slots=True)
class Docker:
    """Docker with BuildKit, on the Dockerfile's own base; `docker save` of version 25 or newer writes OCI archives."""

    @property
    def facts(self) -> Sequence[str]:
        """The base is named in the Dockerfile."""
        return ("docker",)

    def build(self, order: Order) -> None:
        """Build with the local engine; its own cache makes rebuilds fast."""
        target = [] if order.target is None else ["--target", order.target]
        run(["docker", "build", *target, *_site_arguments(os.environ), "--tag", order.reference, order.context])
        run(["docker", "save", "--output", order.archive, order.reference])


@dataclass(frozen=True, slots=True)
class Buildah:
    """Buildah with nothing but chroot and plain copies, which works in containers and nested machines.

    Its store is in `folder`. Between builds it holds the base and one image per slow stage (1 GB in all); everything
    else is removed after each build, since plain copies would fill the disk (8 GB after ten builds).
    """

    folder: Path
    progress: Progress

    @property
    def facts(self) -> Sequence[str]:
        """It builds on our own base."""
        return ("buildah", base_key())

    def build(self, order: Order) -> None:
        """Build as root, one image at a time."""
        install({"buildah": "buildah"}, self.progress)
        base = base_archive(self.folder, self.progress)
        store = self.folder / "store"
        store.mkdir(exist_ok=True)
        with exclusively(store, self.progress):
            try:
                self._build(order, self._base_image(base))
                tag = order.reference.rpartition(":")[2]
                self._buildah("push", order.reference, f"oci-archive:{order.archive}:{tag}")
            finally:
                self._remove_leftovers(order.slow)

    def _build(self, order: Order, base: str) -> None:
        given = ["--build-arg", f"BASE={base}", *_site_arguments(os.environ)]
        if order.slow is not None:
            if not self._images(f"reference={order.slow.reference}"):
                self._bud(order.context, order.slow.reference, "--target", order.slow.name, *given)
            given += ["--build-context", f"{order.slow.name}=container-image://{order.slow.reference}"]
        if order.target is not None:
            given += ["--target", order.target]
        self._bud(order.context, order.reference, *given)

    def _base_image(self, archive: Path) -> str:
        reference = f"{BASE_REPOSITORY}:{base_key()}"
        if self._images(f"reference={reference}"):
            return reference
        context = self.folder / "store" / "base-context"
        context.mkdir(exist_ok=True)
        try:
            (context / "base.tar").hardlink_to(archive)
            (context / "Dockerfile").write_text(CONTAINERFILE)
            self._bud(context, reference)
        finally:
            shutil.rmtree(context)
        return reference

    def _remove_leftovers(self, slow: Stage | None) -> None:
        """Keep the current base, the current image of the stage just used, and those of stages of other images."""
        self._buildah("rm", "--all")
        kept = set(self._images(f"reference={BASE_REPOSITORY}:{base_key()}"))
        stages = set(self._images("reference=localhost/plimsoll/stage-*"))
        if slow is not None:
            stages -= set(self._images(f"reference={slow.repository}"))
            stages |= set(self._images(f"reference={slow.reference}"))
        others = sorted(set(self._images()) - kept - stages)
        if others:
            self._buildah("rmi", "--force", *others)

    def _bud(self, context: Path, reference: str, *options: str) -> None:
        self._buildah("bud", "--isolation", "chroot", *options, "--tag", reference, str(context))

    def _images(self, *filters: str) -> Sequence[str]:
        chosen = [option for one in filters for option in ("--filter", one)]
        return self._buildah("images", "--all", "--quiet", "--no-trunc", *chosen).split()

    def _buildah(self, *arguments: str) -> str:
        store = self.folder / "store"
        temporary = self.folder / "temporary"  # keeps pip's wheels between builds
        temporary.mkdir(exist_ok=True)
        places: list[str | Path] = ["--root", store / "images", "--runroot", store / "run", "--storage-driver", "vfs"]
        return run(["buildah", *places, *arguments], environment={**os.environ, "TMPDIR": str(temporary)})


def choose_engine(folder: Path, progress: Progress) -> Engine:
    """Docker if its engine answers, else buildah."""
    return Docker() if _docker_answers() else Buildah(folder, progress)


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def _site_arguments(environment: Mapping[str, str]) -> list[str]:
    """How pip reaches its index from here. They are arguments of build stages, so they reach no image."""
    arguments = []
    if "PIP_INDEX_URL" in environment:
        arguments += ["--build-arg", f"PIP_INDEX_URL={environment['PIP_INDEX_URL']}"]
    bundles = [environment.get(name, "") for name in _CA_BUNDLES]
    bundle = next((path for path in [*bundles, _SYSTEM_CA_BUNDLE] if path and Path(path).is_file()), None)
    if bundle is not None:
        arguments += ["--build-arg", f"PIP_CERT={_CA_BUNDLE_IN_BUILD}", "--secret", f"id=ca-bundle,src={bundle}"]
    return arguments
