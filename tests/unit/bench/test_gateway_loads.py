"""What load generators say, and when it is no measurement."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scale.bench_gateway.arms import Arm
from tests.scale.bench_gateway.loads import GrpcLoad, HttpLoad, OpenLoad, Run
from tests.scale.bench_gateway.messages import ANSWER

from plimsoll_dev.cluster.unpacked import Program

ARM = Arm("gateway", 1, "127.0.0.1", 8000, 8001)
WRK = """\
Running 3s test @ http://127.0.0.1:8000/v2/models/digits/infer
  31234 requests in 3.01s, 8.42MB read
{trouble}Requests/sec:  10376.74
Transfer/sec:      2.80MB
"""
H2LOAD = """\
finished in 3.00s, 21345.67 req/s, 4.07MB/s
requests: 64100 total, 64164 started, 64100 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
traffic: 4.07MB (4266812) total, 982.01KB (1005582) headers (space savings 44.75%), 2.58MB ({data}) data
"""


def says(tmp_path: Path, text: str) -> Program:
    """A program that prints this."""
    (tmp_path / "said").write_text(text)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat {tmp_path / 'said'}\n")
    program.chmod(0o755)
    return Program(program)


def test_what_wrk_says(tmp_path: Path) -> None:
    assert HttpLoad("http", says(tmp_path, WRK.format(trouble="")), tmp_path).run(ARM, 3) == Run(31234, 10376.74)


@pytest.mark.parametrize("trouble", ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 3\n"])
def test_requests_that_fail_are_no_measurement(trouble: str, tmp_path: Path) -> None:
    load = HttpLoad("http", says(tmp_path, WRK.format(trouble=trouble)), tmp_path)
    with pytest.raises(RuntimeError, match="gateway failed requests"):
        load.run(ARM, 3)


def test_what_h2load_says(tmp_path: Path) -> None:
    said = H2LOAD.format(succeeded=64100, failed=0, data=64100 * len(ANSWER))
    assert GrpcLoad("grpc", says(tmp_path, said), 64, tmp_path).run(ARM, 3) == Run(64100, 21345.67)


@pytest.mark.parametrize(
    ("succeeded", "failed", "data"),
    [
        pytest.param(64098, 2, 64100 * len(ANSWER), id="an HTTP status"),
        pytest.param(64100, 0, 64099 * len(ANSWER), id="a gRPC status, which comes with 200 and without a message"),
    ],
)
def test_calls_that_fail_are_no_measurement(succeeded: int, failed: int, data: int, tmp_path: Path) -> None:
    said = H2LOAD.format(succeeded=succeeded, failed=failed, data=data)
    with pytest.raises(RuntimeError, match="gateway failed calls"):
        GrpcLoad("grpc", says(tmp_path, said), 64, tmp_path).run(ARM, 3)


def test_latencies_come_from_the_log(tmp_path: Path) -> None:
    program = says(tmp_path, "")
    program.path.write_text(f"#!/bin/sh\nprintf '1\\t200\\t900\\n2\\t200\\t100\\n' > {tmp_path / 'latencies'}\n")
    assert OpenLoad(program, tmp_path, 5000).latencies_s(ARM, 3) == [0.0001, 0.0009]
