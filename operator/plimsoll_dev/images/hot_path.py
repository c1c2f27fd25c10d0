"""The product with its hot path compiled, as in the image, for tests and benchmarks on this machine."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.packages import install
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.build import CHECKOUT
from plimsoll_dev.images.cache import content_key, exclusively, files_below, obtain, prune
from plimsoll_dev.images.commands import run

LOCK = "requirements-compile.lock"
SCRIPT = "operator/plimsoll_dev/images/compile_hot_path.py"
_SOURCES = "operator/plimsoll"
_KEPT = 3
_COMPILER: Mapping[str, str] = {
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    f"{sysconfig.get_path('include')}/Python.h": "libpython3-dev",
}


def compiled_folder(progress: Progress | None = None) -> Path:
    """The folder whose `plimsoll` is this checkout's, compiled; made now unless the cache has it.

    It belongs before `operator` on the path of modules.

    Raises:
        Invalid: There is no C compiler here, or mypyc or the compiler refuses a module.
    """
    progress = progress or Progress()
    folder = cache_folder(os.environ) / "hot-path"
    facts = [sys.version, sys.prefix, platform.machine()]
    files = files_below(CHECKOUT, [LOCK, SCRIPT, _SOURCES])
    entry = obtain(folder / f"package-{content_key(facts, files)}", lambda new: _make(new, files, progress), progress)
    with exclusively(folder, progress):
        prune(folder, "package-*", _KEPT)
        prune(folder / "kept", "*", _KEPT)
    return entry


def _make(unfinished: Path, files: Mapping[str, bytes], progress: Progress) -> None:
    install(_COMPILER, progress)
    tools = _tools(progress)
    with progress.step("compiling the gateway's hot path (usually 1 minute)"):
        for name, content in files.items():
            if name.startswith(f"{_SOURCES}/"):
                file = unfinished / Path(name).relative_to("operator")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        kept = cache_folder(os.environ) / "hot-path" / "kept"
        run([tools / "bin/python", CHECKOUT / SCRIPT, unfinished, kept, sys.executable])


def _tools(progress: Progress) -> Path:
    """The environment that compiles: apart from the developer's, so that it is the one of the image."""
    folder = cache_folder(os.environ) / "compilers"
    key = content_key([sys.version, sys.base_prefix], files_below(CHECKOUT, [LOCK]))
    entry = obtain(folder / f"tools-{key}", _install_tools, progress)
    with exclusively(folder, progress):
        prune(folder, "tools-*", _KEPT)
    return entry


def _install_tools(unfinished: Path) -> None:
    run([sys.executable, "-m", "venv", unfinished])
    pip: list[str | Path] = [unfinished / "bin/python", "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", CHECKOUT / LOCK])
