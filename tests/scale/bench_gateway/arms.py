"""What is compared: the same model servers behind this gateway, behind nginx, behind HAProxy, and without anything.

Each proxy is one process, has one core for itself, and serves HTTP and gRPC. The model servers share the other core
with the load generators. How the rivals are configured: `rivals/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import httpx
import yaml
from tests.scale.bench_gateway.messages import ANSWER, JSON_ANSWER, METHOD, MODEL, PATH, call
from tests.support.controller_process import ROOT, free_port
from tests.support.gateway_process import CONTROLLER_SEED
from tests.support.routed import TEAM

from plimsoll.core.names import GRPC_PORT, HTTP_PORT
from plimsoll.core.tokens import public_key
from plimsoll_dev.cluster.unpacked import Program

PODS = ("127.0.11.2", "127.0.11.3", "127.0.11.4")
PROXY_CORE, LOAD_CORE = 0, 1
WINDOW_BITS = 24
"""Of HTTP/2's flow control, on the load generator's side and the pods': none of them is to be what is measured."""
_RIVALS = Path(__file__).parent / "rivals"
_READY_WITHIN_S = 60.0
_DEFAULTS: Mapping[str, object] = {}
_POD_UID = "uid-of-the-gateway"


@dataclass(frozen=True)
class Arm:
    """One of the compared.

    Attributes:
        process: Its id; what it used is its own and its children's.
    """

    name: str
    process: int
    host: str
    http: int
    grpc: int

    def cpu_s(self) -> float:
        """Processor time so far, in seconds."""
        fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in self._processes()]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Memory that it has now."""
        pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in self._processes())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Files and connections that it has open."""
        return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in self._processes())

    def _processes(self) -> Sequence[str]:
        children = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()
        return [str(self.process), *children]


LOGGED = "gateway_logged"
"""A second gateway, which logs every request; compared with nginx only."""


@contextmanager
def arms(
    programs: Mapping[str, Program], folder: Path, modules: Sequence[Path], *, logged: bool = False
) -> Iterator[Mapping[str, Arm]]:
    """Runs all of them.

    Args:
        programs: `nginx`, `haproxy` and `nghttpd`.
        folder: For files; others than its owner have to be able to read it, as nginx gives up root.
        modules: Where the gateway's Python modules are.
        logged: `LOGGED` is there as well.
    """
    (folder / "answer.json").write_bytes(JSON_ANSWER)
    with ExitStack() as stack:
        nginx, haproxy = programs["nginx"], programs["haproxy"]
        pods = _rival(stack, nginx, folder, "pods.nginx.conf", 0, 0, core=LOAD_CORE)
        _grpc_pods(stack, programs["nghttpd"], folder)
        found = {"direct": Arm("direct", pods, PODS[0], HTTP_PORT, GRPC_PORT)}
        for name, program, file in (("nginx", nginx, "nginx.conf"), ("haproxy", haproxy, "haproxy.cfg")):
            http, grpc = free_port(), free_port()
            process = _rival(stack, program, folder, file, http, grpc, core=PROXY_CORE)
            found[name] = Arm(name, process, "127.0.0.1", http, grpc)
        found["gateway"] = _gateway(stack, folder, "gateway", modules)
        if logged:
            found[LOGGED] = _gateway(stack, folder, LOGGED, modules, {"accessLog": 1})
        for arm in found.values():
            _wait_for(arm)
        yield found


def _grpc_pods(stack: ExitStack, nghttpd: Program, folder: Path) -> None:
    """Servers that send a file and gRPC's trailers once a call has come whole."""
    file = folder / "grpc" / METHOD.removeprefix("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(ANSWER)
    options = ["--no-tls", f"--htdocs={folder / 'grpc'}", "--trailer=grpc-status: 0", "--max-concurrent-streams=1000"]
    options += [f"--window-bits={WINDOW_BITS}", f"--connection-window-bits={WINDOW_BITS}"]
    for ip in PODS:
        command = [nghttpd.path, f"--address={ip}", *options, GRPC_PORT]
        _run(stack, command, nghttpd.environment, core=LOAD_CORE)


def _rival(stack: ExitStack, program: Program, folder: Path, file: str, http: int, grpc: int, *, core: int) -> int:
    values = {"FOLDER": folder, "HTTP": HTTP_PORT, "GRPC": GRPC_PORT, "FRONT_HTTP": http, "FRONT_GRPC": grpc}
    values |= {f"POD_{number}": ip for number, ip in enumerate(PODS, 1)}
    text = (_RIVALS / file).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    path = folder / file
    path.write_text(text, encoding="utf-8")
    options = ["-f", path] if file.endswith(".cfg") else ["-p", folder, "-e", folder / f"{file}.early", "-c", path]
    return _run(stack, [program.path, *options], program.environment, core=core)


def _gateway(
    stack: ExitStack, folder: Path, name: str, modules: Sequence[Path], settings: Mapping[str, object] = _DEFAULTS
) -> Arm:
    """The program with the configuration that users get but for `settings`, and around it what a cluster has."""
    ports = {"adminPort": free_port(), "httpPort": free_port(), "grpcPort": free_port()}
    config, kubeconfig = folder / f"{name}.yaml", folder / f"{name}.kubeconfig"
    config.write_text(yaml.safe_dump({**ports, **settings}), encoding="utf-8")
    around = [sys.executable, "-m", "tests.scale.bench_gateway.cluster", kubeconfig, ports["adminPort"], _POD_UID]
    _run(stack, [*around, *PODS], {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}, core=LOAD_CORE)
    _until(kubeconfig.exists, "the API server")
    environment = {
        "PYTHONPATH": ":".join(map(str, modules)),
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": TEAM,
        "POD_NAME": "gateway",
        "POD_UID": _POD_UID,
        "PLIMSOLL_CONTROLLER_KEY": public_key(CONTROLLER_SEED),
    }
    command = [sys.executable, "-m", "plimsoll", "gateway", "--config", config]
    process = _run(stack, command, environment, core=PROXY_CORE)
    _until(lambda: _splits(ports["adminPort"]), "the gateway to give the candidate its share")
    return Arm(name, process, "127.0.0.1", ports["httpPort"], ports["grpcPort"])


def _run(stack: ExitStack, command: Sequence[object], environment: Mapping[str, str], *, core: int) -> int:
    pinned = ["taskset", "-c", str(core), *map(str, command)]
    # Somebody reads what it prints, as a container runtime does: a pipe, not a file that takes everything at once.
    reader = subprocess.Popen(
        ["taskset", "-c", str(LOAD_CORE), "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    with cast("IO[bytes]", reader.stdin) as printed:
        process = subprocess.Popen(pinned, env={**os.environ, **environment}, cwd=ROOT, stdout=printed)

    def end() -> None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.wait()

    stack.callback(end)
    return process.pid


def _splits(admin_port: int) -> bool:
    try:
        routes = httpx.get(f"http://127.0.0.1:{admin_port}/v1/routes", trust_env=False).json()
    except httpx.TransportError:
        return False
    model = routes["models"].get(MODEL)
    return bool(routes["trusted"] and model and model["candidate"] and model["candidate"]["weightPermille"])


def _wait_for(arm: Arm) -> None:
    def answers() -> bool:
        try:
            http = httpx.post(f"http://{arm.host}:{arm.http}{PATH}", content=b"{}", trust_env=False)
        except httpx.TransportError:
            return False
        return http.status_code == httpx.codes.OK and call(arm.host, arm.grpc) == ANSWER[5:]

    _until(answers, f"{arm.name} to answer both protocols")


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {_READY_WITHIN_S:.0f} s for {what}.")
        time.sleep(0.1)
