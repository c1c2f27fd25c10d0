"""The controller as a process of its own, as it runs in a pod, with its cost read from /proc and its own metrics."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import yaml

ROOT = Path(__file__).parents[2]
TRITON_IMAGE = "registry.example.com/triton@sha256:" + "0" * 64
OPERATOR_IMAGE = "registry.example.com/plimsoll@sha256:" + "1" * 64


@dataclass
class ControllerProcess:
    """A running controller. Being asked how it is costs it time: 4 ms for its metrics."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, verify=False)  # noqa: S501 - http

    @property
    def cpu_s(self) -> float:
        """Processor seconds so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_rss_mb(self) -> float:
        """Largest resident memory so far, in MB of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024 / 1e6

    def metric(self, name: str) -> float:
        """The sum over all label values of one metric."""
        text = self._http.get("/metrics").text
        return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def ready(self) -> bool:
        """Whether its caches are filled."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def settle(self, objects: int, *, quiet_s: float = 3.0, timeout_s: float = 900.0) -> None:
        """Waits until every object had its turn and no turn was taken for a while."""
        deadline = time.monotonic() + timeout_s
        seen, since = -1.0, time.monotonic()
        while time.monotonic() < deadline:
            self.check()
            turns = self.metric("plimsoll_reconciles_total") if self.ready() else -1.0
            if turns != seen:
                seen, since = turns, time.monotonic()
            elif seen >= objects and time.monotonic() - since >= quiet_s:
                return
            time.sleep(0.5)
        raise TimeoutError(f"still busy after {timeout_s:.0f} s with {seen:.0f} turns taken")

    def check(self) -> None:
        """Fails with the end of its log when it has died."""
        if self.process.poll() is not None:
            raise AssertionError(f"the controller ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-30:])

    def stop(self) -> int:
        """Ends it in order and returns its exit code."""
        self._http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running_controller(folder: Path, kubeconfig: Path, **settings: object) -> Iterator[ControllerProcess]:
    """Runs a controller against a cluster; settings are those of its configuration file."""
    port = free_port()
    config = folder / f"controller-{port}.yaml"
    defaults = {"accelerator": "None", "tritonImage": TRITON_IMAGE}
    config.write_text(
        yaml.safe_dump({"defaults": defaults, "fetchImage": OPERATOR_IMAGE, "port": port, **settings}), encoding="utf-8"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        # As in the image, where every module is compiled: the first start writes the bytecode, all others only load it.
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
        "POD_NAMESPACE": "default",
        "POD_NAME": f"controller-{port}",
    }
    log = folder / f"controller-{port}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "plimsoll", "controller", "--config", str(config)]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=ROOT)
    running = ControllerProcess(process, port, log)
    try:
        yield running
    finally:
        running.stop()
