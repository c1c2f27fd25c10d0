"""A real Triton on this machine, without a container: the same folder and the same command line as in a pod."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from plimsoll.core.names import GRPC_PORT, HTTP_PORT, METRICS_PORT
from plimsoll.core.render.pod import EXIT_TIMEOUT_SECONDS, triton_arguments
from plimsoll.errors import Invalid
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.build import CHECKOUT
from plimsoll_dev.images.cache import content_key, exclusively, files_below, obtain, prune
from plimsoll_dev.images.commands import run

ADMIN_WORD = "local"
"""What the pod's uid is in a cluster: the value of the header that unlocks the administrative interface."""
READY_SECONDS = 60
LOCAL_EXIT_TIMEOUT_SECONDS = 3
"""Pods finish requests for longer; here an idle keep-alive connection would hold up every test by 30 s."""

_BACKEND = "operator/triton-cpu/onnxruntime"
_ASSEMBLY = "operator/plimsoll_dev/images/triton_cpu.py"
_LOCK = "requirements-triton.lock"
_FOLDERS_KEPT = 2


@dataclass(frozen=True, slots=True)
class LocalTriton:
    """A running server.

    Attributes:
        http: Base URL.
        grpc: `host:port`.
        metrics: URL of the metrics page.
        process_id: Of the server; its children are the stubs, one per model instance.
        log: Its output so far.
    """

    http: str
    grpc: str
    metrics: str
    process_id: int
    log: Path


def triton_folder(progress: Progress | None = None) -> Path:
    """The folder that is `/opt/tritonserver` in the image, without our backend; made now unless the cache has it.

    Raises:
        Invalid: The packages cannot be installed.
    """
    folder = cache_folder(os.environ) / "triton-cpu"
    progress = progress or Progress()
    # The stub embeds the interpreter that runs this.
    facts = [sys.version, sys.base_prefix]
    key = content_key(facts, files_below(CHECKOUT, [_LOCK, _ASSEMBLY]))
    entry = obtain(folder / f"server-{key}", lambda unfinished: _make(unfinished, progress), progress)
    with exclusively(folder, progress):
        prune(folder, "server-*", _FOLDERS_KEPT)
    return entry


@contextmanager
def running_triton(
    repository: Path,
    *,
    complete_config: bool = True,
    extra: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    ready_s: float = READY_SECONDS,
) -> Iterator[LocalTriton]:
    """Serve a model repository while the context lasts, on free ports of the loopback.

    The command line is the pod's, but for ports, folders and exit timeout. `complete_config` as in `triton_arguments`;
    `extra` are flags that come last and win; `environment` is added to the server's.

    Raises:
        Invalid: The server ended, or was not ready within `ready_s` seconds; the message has its errors.
    """
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plimsoll-triton-")))
        ports = _free_ports(3)
        command = [*_command(repository, ports, _backends(work), complete_config=complete_config), *extra]
        log = work / "log"
        process = stack.enter_context(_running(command, log, environment or {}))
        http, grpc, metrics = (f"127.0.0.1:{port}" for port in ports)
        triton = LocalTriton(f"http://{http}", grpc, f"http://{metrics}/metrics", process.pid, log)
        _wait_until_ready(triton, process, ready_s)
        yield triton


def _make(unfinished: Path, progress: Progress) -> None:
    work = unfinished.parent
    with progress.step("installing a CPU Triton (usually 20 seconds)"):
        run([sys.executable, "-m", "venv", work / "tools"])
        pip: list[str | Path] = [work / "tools/bin/python", "-m", "pip", "--disable-pip-version-check", "install"]
        locked: list[str | Path] = [
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
            CHECKOUT / _LOCK,
        ]
        run([*pip, *locked, "--target", work / "site"])
        run([sys.executable, CHECKOUT / _ASSEMBLY, work / "site", unfinished])


def _backends(work: Path) -> Path:
    """The server's Python backend beside the checkout's own, so that edits count at the next start."""
    backends = work / "backends"
    backends.mkdir()
    (backends / "python").symlink_to(triton_folder() / "backends" / "python")
    (backends / "onnxruntime").symlink_to(CHECKOUT / _BACKEND)
    return backends


def _command(repository: Path, ports: Sequence[int], backends: Path, *, complete_config: bool) -> list[str]:
    http, grpc, metrics = ports
    here = {
        "--model-repository=/models/repository": f"--model-repository={repository}",
        f"--http-port={HTTP_PORT}": f"--http-port={http}",
        f"--grpc-port={GRPC_PORT}": f"--grpc-port={grpc}",
        f"--metrics-port={METRICS_PORT}": f"--metrics-port={metrics}",
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}": f"--exit-timeout-secs={LOCAL_EXIT_TIMEOUT_SECONDS}",
    }
    pod = triton_arguments(complete_config=complete_config)
    arguments = [here.get(argument, argument).replace("$(POD_UID)", ADMIN_WORD) for argument in pod]
    loopback = ["--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1"]
    return [str(triton_folder() / "bin" / "tritonserver"), f"--backend-directory={backends}", *arguments, *loopback]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def _running(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    complete = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=complete, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask first, then kill; a server that does not end by itself leaves its shared memory behind, so remove that."""
    regions = _shared_memory(process.pid)
    process.terminate()
    try:
        process.wait(timeout=4 * LOCAL_EXIT_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for region in regions:
        region.unlink(missing_ok=True)


def _shared_memory(process_id: int) -> set[Path]:
    try:
        mapped = Path(f"/proc/{process_id}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    files = (line.split()[-1] for line in mapped.splitlines())
    return {Path(file) for file in files if "/triton_" in file and file.startswith("/dev/shm/")}  # noqa: S108


def _wait_until_ready(triton: LocalTriton, process: subprocess.Popen[bytes], ready_s: float) -> None:
    deadline = time.monotonic() + ready_s
    while not _ready(triton):
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            what = f"ended with {ended}" if ended is not None else f"was not ready within {ready_s:.0f} s"
            raise Invalid("TritonNotReady", f"tritonserver {what}:\n{_complaints(triton.log)}")
        time.sleep(0.1)


def _complaints(log: Path) -> str:
    """Triton's error lines; where it has none, the end of its log."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return "\n".join([line for line in lines if line.startswith(("E", "error"))] or lines[-15:])


def _ready(triton: LocalTriton) -> bool:
    try:
        return httpx.get(f"{triton.http}/v2/health/ready", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
