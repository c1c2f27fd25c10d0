"""Compile the gateway's hot path in place: mypyc makes C of the listed modules, and the machine's compiler the rest.

The Dockerfile runs this file as a script in an environment that holds `requirements-compile.lock` and nothing else:
`python compile_hot_path.py FOLDER KEPT PYTHON`. FOLDER holds `plimsoll/`; its sources get extension modules beside
them, and FOLDER one with the code of them all. KEPT keeps what was compiled, by the C text, which few edits change.
PYTHON is the interpreter of the environment whose packages the sources import; mypyc only reads their types.
"""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mypyc.build import mypycify
from setuptools import Extension, setup

_GROUP = "plimsoll_hot_path"
_TYPES = ("--config-file=", "--cache-dir=/dev/null", "--follow-imports=silent", "--ignore-missing-imports")
"""Checking types strictly is the linter's; here they have to be consistent within what is compiled."""
_OPTIMISATION = "3"
_DEBUG_SYMBOLS = "0"


def compile_in(folder: Path, kept: Path, python: str) -> Sequence[str]:
    """Compile the modules that `plimsoll.gateway.hot_path` lists, and return their names.

    Raises:
        SystemExit: mypyc refuses a module, or the C compiler does; what they say went to standard output.
    """
    modules: Sequence[str] = runpy.run_path(str(folder / "plimsoll/gateway/hot_path.py"))["MODULES"]
    with tempfile.TemporaryDirectory() as work:
        os.chdir(folder)  # the names of modules are their paths
        extensions = mypycify(
            [*_TYPES, f"--python-executable={python}", *(f"{name.replace('.', '/')}.py" for name in modules)],
            opt_level=_OPTIMISATION,
            debug_level=_DEBUG_SYMBOLS,
            target_dir=f"{work}/c",
            group_name=_GROUP,
        )
        compiled = kept / _key(extensions)
        if not compiled.exists():
            _build(extensions, Path(work), compiled)
        shutil.copytree(compiled, folder, dirs_exist_ok=True)
    return modules


def _build(extensions: Sequence[Extension], work: Path, compiled: Path) -> None:
    for extension in extensions:
        # Another compiler than mypyc's authors have warns about other things.
        extension.extra_compile_args = [word for word in extension.extra_compile_args if word != "-Werror"]
    options = ["--build-lib", str(work / "lib"), "--build-temp", str(work / "objects")]
    setup(name=_GROUP, packages=[], ext_modules=extensions, script_args=["--quiet", "build_ext", *options])
    compiled.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=compiled.parent))
    shutil.copytree(work / "lib", unfinished, dirs_exist_ok=True)
    unfinished.rename(compiled)


def _key(extensions: Sequence[Extension]) -> str:
    """What decides the result: the C text, how it is compiled, and which Python loads it."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_config_var('EXT_SUFFIX')} {_OPTIMISATION}".encode())
    for extension in extensions:
        for file in sorted({*extension.sources, *extension.depends}):
            digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    print("\n".join(compile_in(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3])))
