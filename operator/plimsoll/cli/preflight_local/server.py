"""A Triton of our own: started on free ports of the loopback, and stopped whatever happens."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plimsoll.core.render.pod import triton_arguments
from plimsoll.errors import Invalid

_PROGRAM: Final = "tritonserver"
_LOOPBACK: Final = "127.0.0.1"
_EXIT_TIMEOUT_S: Final = 5
_LOOK_EVERY_S: Final = 0.2
_LOG_LINES: Final = 15
_MODEL_AT_FAULT: Final = ("failed to load '", "failed to load model", "| UNAVAILABLE:")
"""Words with which Triton says that a model, and not the server, is the problem."""
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where Linux keeps it; only files of our own prefix are removed


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A started server.

    Attributes:
        address: gRPC, `host:port`.
        process: Of the server; its children are the backends'.
        log: Its output so far.
    """

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    async def ended(self) -> None:
        """Returns when the server has ended."""
        while self.process.poll() is None:  # noqa: ASYNC110 - asyncio cannot watch a process that it did not start
            await asyncio.sleep(_LOOK_EVERY_S)

    def complaints(self) -> str:
        """Returns the server's errors; where it has none, the end of its output."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join([line for line in lines if line.startswith(("E", "error"))] or lines[-_LOG_LINES:])

    def blames_the_model(self) -> bool:
        """Tells whether the server ended because it could not load a model."""
        output = self.log.read_text(encoding="utf-8", errors="replace")
        return any(words in output for words in _MODEL_AT_FAULT)


def program(given: str | None) -> str:
    """Returns the path of the server's program.

    Raises:
        Invalid: It is not there.
    """
    found = shutil.which(given or _PROGRAM)
    if found is None:
        where = f"{given} is not a program" if given else f"{_PROGRAM} is not on PATH"
        raise Invalid("NoTriton", f"{where}. Name it with --triton PATH, or a Triton that runs with --url HOST:PORT.")
    return found


@contextmanager
def running(
    command: str, repository: Path, work: Path, options: Sequence[str], *, complete_config: bool
) -> Iterator[LocalServer]:
    """Runs the server while the context lasts.

    Args:
        command: The program.
        repository: What to serve.
        work: A folder of ours, for its output.
        options: Further words of its command line, which win.
        complete_config: As in `triton_arguments`.
    """
    ports = _free_ports(3)
    region = f"plimsoll_{os.getpid()}_{ports[1]}_"
    words = [command, *_arguments(repository, ports, complete_config=complete_config)]
    words += [f"--backend-config=python,shm-region-prefix-name={region}", *options]
    log = work / "triton.log"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("wb") as output:
        # A session of its own: Ctrl-C in the terminal is ours to handle, and backends are ended with the server.
        process = subprocess.Popen(  # noqa: S603 - the user names the program
            words, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield LocalServer(f"{_LOOPBACK}:{ports[1]}", process, log)
    finally:
        _stop(process, region)


def _arguments(repository: Path, ports: Sequence[int], *, complete_config: bool) -> list[str]:
    """Returns the pod's command line with what differs here, so that what is proved here holds there."""
    here = {
        "--model-repository": str(repository),
        "--http-port": str(ports[0]),
        "--grpc-port": str(ports[1]),
        "--metrics-port": str(ports[2]),
        "--exit-timeout-secs": str(_EXIT_TIMEOUT_S),
    }
    pod = (argument.partition("=")[::2] for argument in triton_arguments(complete_config=complete_config))
    # A restricted interface protects pods from their neighbours; here the word that unlocks it would be public.
    kept = [(name, value) for name, value in pod if not name.startswith(("--http-restricted", "--grpc-restricted"))]
    arguments = [f"{name}={here.get(name, value)}" if value else name for name, value in kept]
    return [*arguments, *(f"--{kind}-address={_LOOPBACK}" for kind in ("http", "grpc", "metrics"))]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _stop(process: subprocess.Popen[bytes], region: str) -> None:
    """Asks the server to end, then ends it and its backends; an interrupt in between only makes it faster."""
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2 * _EXIT_TIMEOUT_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for left in _SHARED_MEMORY.glob(f"{region}*"):
            left.unlink(missing_ok=True)
