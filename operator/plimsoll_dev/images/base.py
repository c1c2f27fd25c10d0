"""A base image without a registry: Debian with Python 3.11, a stand-in for `python:3.11-slim-bookworm`.

It has what that image has and the Dockerfile uses: python3 with venv, libpython for embedding, CA certificates. It is
for machines without Docker; an image for production is built on a base pinned by digest.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.packages import install
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.cache import content_key, obtain
from plimsoll_dev.images.commands import run

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "libpython3.11", "ca-certificates")
TRIMMED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "var/cache",
    "var/lib/apt/lists",
    "var/log",
)  # 150 of 285 MB
CONTAINERFILE = """\
FROM scratch
ADD base.tar /
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin LANG=C.UTF-8
CMD ["python3"]
"""
_TOOLS: Mapping[str, str] = {
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def base_key() -> str:
    """What decides the base: its recipe and the machine's architecture."""
    return content_key([SUITE, *PACKAGES, *TRIMMED, CONTAINERFILE, platform.machine()], {})


def base_archive(folder: Path, progress: Progress) -> Path:
    """The base's file system as a tar file, from the cache `folder`.

    Raises:
        Invalid: It cannot be built here, because this is not root or debootstrap failed.
    """
    return obtain(folder / f"base-{base_key()}.tar", lambda file: _build(file, progress), progress)


def _build(file: Path, progress: Progress) -> None:
    if os.geteuid() != 0:
        raise Invalid("RootNeeded", "The base image is made with debootstrap, which needs root. Or start Docker.")
    install(_TOOLS, progress)
    root = file.parent / "root"
    with progress.step(f"making a base image of Debian {SUITE} (usually 1 minute)"):
        chosen: list[str | Path] = ["--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root, *_mirror()]
        run(["debootstrap", *chosen])
        _trim(root)
        run(["tar", "--numeric-owner", "--one-file-system", "-C", root, "-cf", file, "."])


def _mirror() -> list[str]:
    """The machine's own mirror of Debian; none (debootstrap then uses its default) where apt does not say."""
    if shutil.which("apt-get") is None:
        return []
    wanted = ["Created-By: Packages", f"Codename: {SUITE}", "Component: main"]
    return run(["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]).split()[:1]


def _trim(root: Path) -> None:
    for folder in TRIMMED:
        for child in (root / folder).iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    for compiled in list(root.rglob("__pycache__")):
        shutil.rmtree(compiled)
