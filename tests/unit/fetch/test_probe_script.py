"""The probe program against a server that is busy, silent or broken when told to; test_triton.py has the real one."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.names import HTTP_PORT
from plimsoll.core.triton.probe import ProbePlan, Row, Warmup
from plimsoll.core.triton.tensors import ELEMENT_SIZE
from plimsoll.fetch import probe_script
from plimsoll.fetch.probe_script import Plan, Server, look, warm_up

LIVE, READY, INFER, STATS = "/v2/health/live", "/v2/models/m/ready", "/v2/models/m/infer", "/v2/models/m/stats"
STUB_DEAD = b'{"error":"Stub process \'m_0_0\' is not healthy."}'


@dataclass
class Answers:
    """Status and body by path; None means no answer at all."""

    by_path: dict[str, tuple[int, bytes] | None]
    port: int = 0
    inferences: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def answering(**changes: Any) -> Iterator[Answers]:
    names = {"live": LIVE, "ready": READY, "infer": INFER, "stats": STATS, "metadata": "/v2/models/m"}
    state = Answers({LIVE: (200, b""), READY: (200, b""), INFER: (200, b"{}"), STATS: (200, stats(0, 0))})
    state.by_path |= {names[name]: answer for name, answer in changes.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.path == INFER:
                length = int(self.headers["Inference-Header-Content-Length"])
                state.inferences.append((json.loads(body[:length]), body[length:]))
            answer = state.by_path.get(self.path)
            if answer is None:
                state.released.wait(30)
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        do_POST = do_GET  # noqa: N815 - a name of http.server

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def stats(success: int, fail: int) -> bytes:
    counts = {"success": {"count": success}, "fail": {"count": fail}}
    return json.dumps({"model_stats": [{"inference_stats": counts}]}).encode()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    rows = (Row("x", DataType.FP32, (2,), b"12345678"), Row("s", DataType.BYTES, (1,), b"\1\0\0\0 "))
    return written(tmp_path, ProbePlan("m", Warmup.GENERATED, rows, True, (1, 1, 3), 1))


def written(folder: Path, made: ProbePlan) -> Plan:
    (folder / "request.json").write_text(json.dumps(made.description()))
    (folder / "request.bin").write_bytes(made.values())
    return Plan(str(folder))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_script, "HEALTH_TIMEOUT", 0.3)
    monkeypatch.setattr(probe_script, "INFERENCE_TIMEOUT", 0.3)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({}, 0),
        ({"infer": (503, b'{"error":"Exceeds maximum queue size"}')}, 0),
        ({"infer": (500, b'{"error":"model raised"}')}, 0),
        ({"infer": (400, b'{"error":"unexpected shape"}')}, 0),
        ({"infer": (400, STUB_DEAD)}, 0),
        ({"infer": None}, 0),
        ({"infer": (500, STUB_DEAD)}, 1),
        ({"infer": (500, b'{"error":"CUDA failure 700: an illegal memory access was encountered"}')}, 1),
        ({"live": (500, b"")}, 1),
        ({"live": None}, 1),
    ],
    ids=[
        "healthy",
        "busy",
        "model failed",
        "rejected",
        "rejected with strange words",
        "slow",
        "process gone",
        "device lost",
        "unhealthy",
        "silent",
    ],
)
def test_liveness(plan: Plan, answers: dict[str, Any], code: int) -> None:
    with answering(**answers) as server:
        assert look(plan, server.port)[0] == code


def budget(seconds: float = 20) -> float:
    return time.monotonic() + seconds


def test_the_warm_up_sends_every_batch_in_binary(plan: Plan) -> None:
    with answering() as server:
        assert warm_up(plan, Server(server.port, budget())) == (0, "warm after 3 requests, 0 rejected in this run")
    header, body = server.inferences[-1]
    assert header["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [3, 2], "parameters": {"binary_data_size": 24}},
        {"name": "s", "datatype": "BYTES", "shape": [3, 1], "parameters": {"binary_data_size": 15}},
    ]
    assert body == b"12345678" * 3 + b"\1\0\0\0 " * 3
    assert [len(body) for _, body in server.inferences] == [13, 13, 39]


@pytest.mark.parametrize(
    ("answers", "code", "sent"),
    [
        ({"ready": (400, b"")}, 1, 0),
        ({"infer": (500, b"model raised")}, 0, 3),
        ({"stats": (200, stats(1, 1))}, 0, 1),
        ({"stats": (200, stats(10, 0))}, 0, 0),
        ({"stats": (404, b"")}, 0, 3),
        ({"infer": (500, STUB_DEAD)}, 1, 1),
    ],
    ids=["loading", "rejected", "goes on", "done before", "no statistics", "killed by a request"],
)
def test_warm_up(plan: Plan, answers: dict[str, Any], code: int, sent: int) -> None:
    with answering(**answers) as server:
        assert warm_up(plan, Server(server.port, budget()))[0] == code
    assert len(server.inferences) == sent


def test_a_warm_up_that_runs_out_of_time_is_not_done(plan: Plan) -> None:
    with answering(infer=None) as server, pytest.raises(TimeoutError):
        warm_up(plan, Server(server.port, budget(0.3)))


def test_a_server_is_asked_for_inputs_nobody_stated(tmp_path: Path) -> None:
    plan = written(tmp_path, ProbePlan("m", Warmup.GENERATED, None, False, (1,), 2))
    metadata = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [-1, 3]}]}
    with answering(metadata=(200, json.dumps(metadata).encode())) as server:
        assert warm_up(plan, Server(server.port, budget()))[0] == 0
    assert [body for _, body in server.inferences] == [bytes(24)] * 2
    assert server.inferences[0][0]["inputs"][0]["shape"] == [1, 3]


def test_a_model_nothing_can_be_sent_to(tmp_path: Path) -> None:
    plan = written(tmp_path, ProbePlan("m", Warmup.NONE, (), False, (), 1))
    with answering() as server:
        assert warm_up(plan, Server(server.port, budget()))[0] == 0
        assert look(plan, server.port) == (0, "alive, an inference answers 200")
    assert not server.inferences


def test_what_the_program_repeats_of_the_rest() -> None:
    """It runs alone in another image and cannot import these."""
    assert probe_script.DEFAULT_PORT == HTTP_PORT
    assert {str(kind): size for kind, size in ELEMENT_SIZE.items()} == probe_script.ELEMENT_SIZES
