"""The layout of the official image, from what the wheels bring."""

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from plimsoll_dev.images.triton_cpu import assemble

PYTHON = f"python3.{sys.version_info.minor}"
STUB = f"pytriton/tritonserver/python_backend_stubs/3.{sys.version_info.minor}/triton_python_backend_stub"
BROUGHT = (
    "pytriton/tritonserver/bin/tritonserver",
    "pytriton/tritonserver/backends/python/libtriton_python.so",
    "pytriton/tritonserver/backends/python/triton_python_backend_utils.py",
    "pytriton/tritonserver/python_backend_stubs/3.8/triton_python_backend_stub",
    "pytriton/tritonserver/caches/local/libtritoncache_local.so",
    "pytriton/client/client.py",
    "nvidia_pytriton.libs/libtritonserver-1.so",
    "nvidia_pytriton.libs/libpython3-1.13.so.1.0",
    "nvidia_pytriton-0.7.0.dist-info/licenses/LICENSE",
    "numpy/core/core.py",
    "numpy/tests/test_it.py",
    "numpy.libs/libblas.so",
    "onnxruntime/capi/onnxruntime.so",
    "onnxruntime/capi/libonnxruntime.so.1.31.1",
    "onnxruntime/transformers/model.py",
)
LAID_OUT = {
    "bin/tritonserver",
    "libexec/tritonserver",
    "lib/libtritonserver-1.so",
    f"lib/lib{PYTHON}.so.1.0",
    "backends/python/libtriton_python.so",
    "backends/python/triton_python_backend_utils.py",
    "backends/python/triton_python_backend_stub",
    "caches/local/libtritoncache_local.so",
    "licenses/LICENSE",
    "python/pyvenv.cfg",
    "python/bin/python",
    "python/bin/python3",
    f"python/lib/{PYTHON}/site-packages/numpy/core/core.py",
    f"python/lib/{PYTHON}/site-packages/numpy.libs/libblas.so",
    f"python/lib/{PYTHON}/site-packages/onnxruntime/capi/onnxruntime.so",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in (*BROUGHT, STUB):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(name)
    return tmp_path / "site"


@pytest.fixture(autouse=True)
def _shared_libpython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"lib{PYTHON}.so.1.0").write_text("")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: str(tmp_path) if name == "LIBDIR" else "x86")


def test_layout(site: Path, tmp_path: Path) -> None:
    triton = tmp_path / "tritonserver"
    assemble(site, triton)
    assert {path.relative_to(triton).as_posix() for path in triton.rglob("*") if not path.is_dir()} == LAID_OUT
    assert (triton / "backends/python/triton_python_backend_stub").read_text() == STUB
    for program in ("bin/tritonserver", "libexec/tritonserver", "backends/python/triton_python_backend_stub"):
        assert os.access(triton / program, os.X_OK), program


def test_a_python_without_a_stub_is_refused(site: Path, tmp_path: Path) -> None:
    (site / STUB).unlink()
    with pytest.raises(FileNotFoundError, match="triton_python_backend_stub"):
        assemble(site, tmp_path / "tritonserver")


def test_a_python_without_a_shared_library_is_refused(site: Path, tmp_path: Path) -> None:
    (tmp_path / f"lib{PYTHON}.so.1.0").unlink()
    with pytest.raises(FileNotFoundError, match=f"The stub needs lib{PYTHON}.so.1.0; looked at"):
        assemble(site, tmp_path / "tritonserver")
