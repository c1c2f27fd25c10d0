"""The loads, each made by the same program for every arm: wrk for HTTP/1.1, h2load for gRPC and at a fixed rate."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tests.scale.bench_gateway.arms import LOAD_CORE, WINDOW_BITS, Arm
from tests.scale.bench_gateway.messages import (
    ANSWER,
    CACHED,
    METHOD,
    PATH,
    VALIDATED,
    binary_request,
    json_request,
    request,
)

from plimsoll_dev.cluster.unpacked import Program

_SCRIPT = 'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\n'
_BODIES: Mapping[str, str] = {
    "http": 'wrk.body=string.rep("x",150)\n',
    # Every request has another length, and so another head.
    "http_varying": "local n=0\nrequest=function()\nn=n+1\n"
    'return wrk.format(nil,nil,nil,string.rep("x",100+n%97))\nend\n',
    "http_64k": 'wrk.body=string.rep("x",65536)\n',
}
_CONNECTIONS = 16
_SMALL, _LARGE = 64, 65536
_SMALL_NUMBERS = 20


@dataclass(frozen=True)
class Run:
    """What came of a load: requests that were answered, and how many a second."""

    requests: int
    per_s: float


class Load(Protocol):
    """Something that keeps a number of requests under way."""

    @property
    def name(self) -> str:
        """Begins the names of its figures."""

    def run(self, arm: Arm, seconds: int) -> Run:
        """Loads an arm.

        Raises:
            RuntimeError: A request failed.
        """


@dataclass(frozen=True)
class HttpLoad:
    """16 connections, each with one request under way."""

    name: str
    program: Program
    script: Path
    path: str = PATH

    def run(self, arm: Arm, seconds: int) -> Run:
        options = ["-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", str(self.script)]
        said = _pinned(self.program, [*options, f"http://{arm.host}:{arm.http}{self.path}"])
        if "Non-2xx" in said or "Socket errors" in said:
            raise RuntimeError(f"{arm.name} failed requests:\n{said}")
        return Run(int(_number(r"(\d+) requests in", said)), _number(r"Requests/sec: +([\d.]+)", said))


@dataclass(frozen=True)
class GrpcLoad:
    """One connection with so many unary calls under way."""

    name: str
    program: Program
    streams: int
    body: Path

    def run(self, arm: Arm, seconds: int) -> Run:
        options = ["-c1", f"-m{self.streams}", f"-D{seconds}", f"-w{WINDOW_BITS}", f"-W{WINDOW_BITS}"]
        options += ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(self.body)]
        said = _pinned(self.program, [*options, f"http://{arm.host}:{arm.grpc}{METHOD}"])
        done, failed = int(_number(r"(\d+) succeeded", said)), int(_number(r"(\d+) failed", said))
        # A call that gRPC failed has the HTTP status 200 and no message.
        whole = int(_number(r"\((\d+)\) data", said)) >= done * len(ANSWER)
        if failed or not whole:
            raise RuntimeError(f"{arm.name} failed calls:\n{said}")
        return Run(done, _number(r"finished in .*, ([\d.]+) req/s", said))


def http_loads(wrk: Program, folder: Path) -> Sequence[HttpLoad]:
    """Small bodies, small bodies of changing length, and bodies of 64 KiB; the answer has 100 bytes."""
    made = []
    for name, body in _BODIES.items():
        script = folder / f"{name}.lua"
        script.write_text(_SCRIPT + body, encoding="utf-8")
        made.append(HttpLoad(name, wrk, script))
    return made


def grpc_loads(h2load: Program, folder: Path) -> Sequence[GrpcLoad]:
    """Unary calls: small on 1 stream and on 64, and with a message of 64 KiB on 64."""
    small, large = folder / "small.grpc", folder / "large.grpc"
    small.write_bytes(request(_SMALL))
    large.write_bytes(request(_LARGE))
    return [
        GrpcLoad("grpc_1_stream", h2load, 1, small),
        GrpcLoad("grpc", h2load, 64, small),
        GrpcLoad("grpc_64k", h2load, 64, large),
    ]


def cache_load(wrk: Program, folder: Path) -> HttpLoad:
    """The same small request again and again, of a model that has a cache."""
    return HttpLoad("cache_hit", wrk, _script(folder, "cache_hit", json_request(_SMALL_NUMBERS)), _path(CACHED))


def validated_loads(wrk: Program, h2load: Program, folder: Path) -> Sequence[Load]:
    """Requests whose values are checked before they are sent: small as JSON, 64 KiB as bytes, and small over gRPC."""
    large, length = binary_request(_LARGE)
    fields = f'wrk.headers["Inference-Header-Content-Length"]="{length}"\n'
    small, framed = _script(folder, "http_validated", json_request(_SMALL_NUMBERS)), folder / "validated.grpc"
    framed.write_bytes(request(_SMALL, VALIDATED))
    return [
        HttpLoad("http_validated", wrk, small, _path(VALIDATED)),
        HttpLoad("http_64k_validated", wrk, _script(folder, "http_64k_validated", large, fields), _path(VALIDATED)),
        GrpcLoad("grpc_validated", h2load, 64, framed),
    ]


def named(loads: Sequence[HttpLoad | GrpcLoad], suffix: str) -> Sequence[Load]:
    """Returns the same loads under other names."""
    return [replace(load, name=f"{load.name}_{suffix}") for load in loads]


def _path(model: str) -> str:
    return f"/v2/models/{model}/infer"


def _script(folder: Path, name: str, body: bytes, fields: str = "") -> Path:
    script, file = folder / f"{name}.lua", folder / f"{name}.body"
    file.write_bytes(body)
    script.write_text(f'{_SCRIPT}{fields}wrk.body=io.open("{file}","rb"):read("*a")\n', encoding="utf-8")
    return script


@dataclass(frozen=True)
class OpenLoad:
    """HTTP requests at a fixed rate, whatever the answers do, over 50 connections."""

    program: Program
    folder: Path
    per_s: int
    connections: int = 50

    def latencies_s(self, arm: Arm, seconds: int) -> list[float]:
        """Loads an arm, and returns the time that each request took, in ascending order.

        Raises:
            RuntimeError: A request failed.
        """
        log, body = self.folder / "latencies", self.folder / "open.json"
        body.write_bytes(b"x" * 150)
        log.unlink(missing_ok=True)
        options = ["--h1", f"-c{self.connections}", f"--rps={self.per_s // self.connections}", f"-D{seconds}"]
        options += [f"--log-file={log}", "-H", "content-type: application/json", "-d", str(body)]
        _pinned(self.program, [*options, f"http://{arm.host}:{arm.http}{PATH}"])
        rows = [line.split() for line in log.read_text(encoding="ascii").splitlines()]
        wrong = sorted({row[1] for row in rows} - {"200"})
        if wrong:
            raise RuntimeError(f"{arm.name} answered with {wrong}.")
        return sorted(int(row[2]) / 1e6 for row in rows)


def _pinned(program: Program, options: Sequence[str]) -> str:
    command = ["taskset", "-c", str(LOAD_CORE), str(program.path), *options]
    environment = {**os.environ, **program.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise RuntimeError(f"The load generator said nothing like '{pattern}':\n{said}")
    return float(found[1])
