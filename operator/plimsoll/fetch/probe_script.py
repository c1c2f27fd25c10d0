"""Warm up or watch the model server in this pod; Kubernetes runs it as `python3 -I -S /models/probe/<mode>.py [PORT]`.

One program under two names:

`warmup.py` is the start-up probe. It ends with 0 once every warm-up request was answered, accepted or rejected: a model
that dislikes made-up input is warm all the same. The server itself counts what it has answered, so a probe that ran out
of time goes on where it stopped, and a restarted server is warmed up again.

`liveness.py` is the liveness probe. It ends with 1 only when the server does not answer its health check, or answers
an inference the way it does for ever once the process behind the model is gone, which the health endpoints miss.
A busy server, a slow one, and a model that rejects the request are alive.

It uses the standard library's lightest modules, since it runs every few seconds in an image that is not ours.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

DEFAULT_PORT: Final = 8000
OK: Final = 200
SERVER_ERROR: Final = 500
# Seconds. The pod gives warm-up 60 and liveness 10 before it kills the probe.
WARMUP_BUDGET: Final = 50
HEALTH_TIMEOUT: Final = 3
INFERENCE_TIMEOUT: Final = 5
KEPT_BYTES: Final = 64 * 1024  # of an answer: enough for any error message
# What a server answers with once the process or device behind a model is gone for good. The first was seen on Triton
# 2.51; the other two are what a CUDA context is documented to report for every call after it was lost.
DEAD: Final = (
    ("Stub process", "not healthy"),
    ("CUDA", "an illegal memory access was encountered"),
    ("CUDA", "device-side assert triggered"),
)
ELEMENT_SIZES: Final = {
    "BOOL": 1,
    "UINT8": 1,
    "INT8": 1,
    "UINT16": 2,
    "INT16": 2,
    "FP16": 2,
    "BF16": 2,
    "UINT32": 4,
    "INT32": 4,
    "FP32": 4,
    "UINT64": 8,
    "INT64": 8,
    "FP64": 8,
}
ONE_SPACE: Final = b"\x01\0\0\0 "  # a BYTES element: its length, then itself


class Server:
    """Speaks just enough HTTP/1.1 to a server on this machine.

    Args:
        port: On the loopback interface.
        deadline: Monotonic seconds after which nothing is waited for any more.
    """

    def __init__(self, port: int, deadline: float) -> None:
        self._port = port
        self._deadline = deadline

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        return self.receive(self.send("GET", path, b""))

    def send(self, method: str, path: str, body: bytes, extra: str = "") -> socket.socket:
        """Send a request on a connection of its own."""
        connection = socket.create_connection(("127.0.0.1", self._port), self._left())
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += f"Content-Length: {len(body)}\r\n{extra}\r\n"
        connection.settimeout(self._left())
        connection.sendall(head.encode() + body)
        return connection

    def receive(self, connection: socket.socket) -> tuple[int, bytes]:
        """Read an answer to its end and return its status and the beginning of its body."""
        with connection:
            data = self._more(connection)
            while b"\r\n\r\n" not in data:
                data += self._more(connection)
            head, _, body = data.partition(b"\r\n\r\n")
            missing = content_length(head) - len(body)
            while missing > 0:
                chunk = self._more(connection)
                missing -= len(chunk)
                body += chunk[: max(KEPT_BYTES - len(body), 0)]
            return int(head.split(b" ", 2)[1]), body

    def _more(self, connection: socket.socket) -> bytes:
        connection.settimeout(self._left())
        chunk = connection.recv(64 * 1024)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        return chunk

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the probe's own time is over")
        return left


def content_length(head: bytes) -> int:
    """Read the length of a body from the head of an answer."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


class Plan:
    """What fetch wrote beside this file.

    Args:
        folder: Holds `request.json` and `request.bin`.
    """

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, "request.json")) as file:  # noqa: PTH123, PTH118 - pathlib is a slow import
            description = json.load(file)
        self._values = os.path.join(folder, "request.bin")  # noqa: PTH118 - as above
        self.model: str = description["model"]
        self.batches: list[int] = description["batches"]
        self.instances: int = description["instances"]
        self._batching: bool = description["batching"]
        self._inputs: list[dict[str, Any]] | None = description["inputs"]

    def path(self, rest: str) -> str:
        """Name an endpoint of the model."""
        return f"/v2/models/{self.model}{rest}"

    def request(self, server: Server, batch: int) -> tuple[bytes, str] | None:
        """Return body and extra header of an inference; None when none can be made."""
        inputs = self._asked(server) if self._inputs is None else self._stored(batch)
        if not inputs:
            return None
        header = {
            "inputs": [
                {"name": name, "datatype": kind, "shape": shape, "parameters": {"binary_data_size": len(raw)}}
                for name, kind, shape, raw in inputs
            ],
            "parameters": {"binary_data_output": True},
        }
        encoded = json.dumps(header).encode()
        body = encoded + b"".join(raw for _, _, _, raw in inputs)
        return body, f"Inference-Header-Content-Length: {len(encoded)}\r\n"

    def _stored(self, batch: int) -> list[tuple[str, str, list[int], bytes]]:
        repeats = batch if self._batching else 1
        with open(self._values, "rb") as file:  # noqa: PTH123 - as above
            values = file.read()
        return [
            (
                entry["name"],
                entry["datatype"],
                [repeats, *entry["shape"]] if self._batching else entry["shape"],
                values[entry["offset"] : entry["offset"] + entry["length"]] * repeats,
            )
            for entry in self._inputs or ()
        ]

    def _asked(self, server: Server) -> list[tuple[str, str, list[int], bytes]]:
        """Ask the server for the inputs of a model whose configuration does not list them; fill them with zeros."""
        status, body = server.get(self.path(""))
        if status != OK:
            return []
        inputs = []
        for entry in json.loads(body)["inputs"]:
            shape = [max(size, 1) for size in entry["shape"]]
            elements = 1
            for size in shape:
                elements *= size
            kind = entry["datatype"]
            raw = ONE_SPACE * elements if kind == "BYTES" else bytes(elements * ELEMENT_SIZES[kind])
            inputs.append((entry["name"], kind, shape, raw))
        return inputs


def warm_up(plan: Plan, server: Server) -> tuple[int, str]:
    """Send what is left of the warm-up and return exit code and what to say."""
    status, _ = server.get(plan.path("/ready"))
    if status != OK:
        return 1, "the model is not loaded yet"
    done = answered(plan, server) // plan.instances
    rejected = 0
    for batch in plan.batches[done:]:
        request = plan.request(server, batch)
        if request is None:
            break
        body, extra = request
        # One connection per instance, all at once: an idle instance takes the next request.
        connections = [server.send("POST", plan.path("/infer"), body, extra) for _ in range(plan.instances)]
        answers = [server.receive(connection) for connection in connections]
        if any(is_dead(*answer) for answer in answers):
            return 1, "the process behind the model died of a warm-up request"
        rejected += sum(status != OK for status, _ in answers)
    return 0, f"warm after {len(plan.batches)} requests, {rejected} rejected in this run"


def answered(plan: Plan, server: Server) -> int:
    """Ask the server how many requests this process of it has answered."""
    status, body = server.get(plan.path("/stats"))
    if status != OK:
        return 0
    counts = json.loads(body)["model_stats"][0]["inference_stats"]
    return int(counts["success"]["count"]) + int(counts["fail"]["count"])


def look(plan: Plan, port: int) -> tuple[int, str]:
    """Look whether the server can still answer and return exit code and what to say."""
    try:
        status, _ = Server(port, time.monotonic() + HEALTH_TIMEOUT).get("/v2/health/live")
    except OSError as error:
        return 1, f"the server does not answer its health check: {error}"
    if status != OK:
        return 1, f"the server's health check answers {status}"
    try:
        status, answer = infer_once(plan, Server(port, time.monotonic() + INFERENCE_TIMEOUT))
    except (OSError, ValueError, KeyError, IndexError) as error:
        return 0, f"alive, though an inference did not end in time: {error}"
    if is_dead(status, answer):
        return 1, f"the process behind the model is gone: {answer.decode(errors='replace')[:500]}"
    return 0, f"alive, an inference answers {status}"


def is_dead(status: int, answer: bytes) -> bool:
    """Tell an answer of a server whose model process is gone from the answer of a model that failed."""
    text = answer.decode(errors="replace")
    return status == SERVER_ERROR and any(all(part in text for part in parts) for parts in DEAD)


def infer_once(plan: Plan, server: Server) -> tuple[int, bytes]:
    """Send one inference of one row; 200 when none can be made."""
    request = plan.request(server, 1)
    if request is None:
        return OK, b""
    return server.receive(server.send("POST", plan.path("/infer"), *request))


def main() -> int:
    """Run the mode this file is named after."""
    folder, name = os.path.split(os.path.abspath(__file__))  # noqa: PTH100 - as above
    port = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PORT
    plan = Plan(folder)
    if name == "liveness.py":
        code, said = look(plan, port)
    else:
        try:
            code, said = warm_up(plan, Server(port, time.monotonic() + WARMUP_BUDGET))
        except (OSError, ValueError, KeyError, IndexError) as error:
            code, said = 1, f"not warm yet: {error}"
    sys.stdout.write(f"{said}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
