"""Lay out a CPU Triton like the official image's `/opt/tritonserver`, from the `nvidia-pytriton` wheel.

The wheel carries the server, the Python backend and one stub per Python version. What it does not carry is the
official image's layout, so this module makes it: `bin`, `lib`, `backends`, `caches`, plus `python`, the environment of
the Python backend's stubs. The folder works wherever it lies and needs nothing from the caller's environment.

The Dockerfile runs this file as a script in a bare Python, so it imports the standard library only:
`python3 triton_cpu.py SITE DESTINATION` with SITE = a folder filled by
`pip install --no-deps --require-hashes -r requirements-triton.lock --target SITE`.
"""

import shutil
import sys
import sysconfig
from pathlib import Path

_SERVER = Path("pytriton/tritonserver")
_LIBRARIES = Path("nvidia_pytriton.libs")
_UNUSED_LIBRARY = "libpython3-*"  # 32 MB of Python 3.13 that nothing here links to
_UNUSED_IN_ONNXRUNTIME = "libonnxruntime.so.*"  # 29 MB for C callers; the Python module is linked statically
_UNUSED_FOLDERS = ("tests", "transformers", "quantization", "tools", "datasets")

# The stub embeds libpython, ignores PYTHONPATH and takes its packages from the first `python3` on PATH. It finds
# libpython and CUDA's (stub) runtime through LD_LIBRARY_PATH. A directory given on the command line wins over these.
_WRAPPER = """\
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
export PATH="$root/python/bin:$PATH"
export LD_LIBRARY_PATH="$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$root/libexec/tritonserver" --backend-directory="$root/backends" --cache-directory="$root/caches" "$@"
"""


def assemble(site: Path, destination: Path) -> None:
    """Fill `destination`, which must not exist, from the packages installed in `site`.

    The running interpreter becomes the one of the stubs. The `onnxruntime` backend is not part of it: it is our own
    source, and stays out so that editing it does not rebuild the rest.

    Raises:
        FileNotFoundError: The wheel has no stub for this Python, or this Python has no shared libpython.
    """
    _server(site / _SERVER, destination)
    _libraries(site / _LIBRARIES, destination / "lib")
    _python_environment(site, destination / "python")
    for licences in site.glob("nvidia_pytriton-*.dist-info/licenses"):
        shutil.copytree(licences, destination / "licenses")


def _server(source: Path, destination: Path) -> None:
    program = destination / "libexec" / "tritonserver"
    program.parent.mkdir(parents=True)
    shutil.copy(source / "bin" / "tritonserver", program)
    program.chmod(0o755)
    wrapper = destination / "bin" / "tritonserver"
    wrapper.parent.mkdir()
    wrapper.write_text(_WRAPPER)
    wrapper.chmod(0o755)
    shutil.copytree(source / "caches", destination / "caches")
    backend = destination / "backends" / "python"
    shutil.copytree(source / "backends" / "python", backend, ignore=shutil.ignore_patterns("__pycache__"))
    stub = source / "python_backend_stubs" / f"3.{sys.version_info.minor}" / "triton_python_backend_stub"
    shutil.copy(stub, backend / stub.name)
    (backend / stub.name).chmod(0o755)


def _libraries(source: Path, destination: Path) -> None:
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns(_UNUSED_LIBRARY))
    libpython = _libpython()
    (destination / libpython.name).symlink_to(libpython)


def _libpython() -> Path:
    name = f"libpython3.{sys.version_info.minor}.so.1.0"
    folder = Path(sysconfig.get_config_var("LIBDIR"))
    candidates = (folder / name, folder / str(sysconfig.get_config_var("MULTIARCH")) / name)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"The stub needs {name}; looked at {' and '.join(map(str, candidates))}.")


def _python_environment(site: Path, destination: Path) -> None:
    """Write a virtual environment by hand: unlike those of `venv`, it can be moved."""
    interpreter = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    (destination / "bin").mkdir(parents=True)
    for name in ("python3", "python"):
        (destination / "bin" / name).symlink_to(interpreter)
    (destination / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    packages = destination / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    ignored = shutil.ignore_patterns(_UNUSED_IN_ONNXRUNTIME, *_UNUSED_FOLDERS)
    for package in sorted(site.iterdir()):
        if package.name.startswith("onnxruntime"):
            shutil.copytree(package, packages / package.name, ignore=ignored)
        elif package.name.startswith("numpy"):
            shutil.copytree(package, packages / package.name, ignore=shutil.ignore_patterns("tests"))


if __name__ == "__main__":
    assemble(Path(sys.argv[1]), Path(sys.argv[2]))
