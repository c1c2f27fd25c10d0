"""k6, an independent load generator: its command line and its output.

Its `constant-arrival-rate` starts a request when it is due without waiting for earlier ones, over gRPC as the preflight
does. Triton's own `perf_analyzer` would be nearer, but its wheels need a newer C library (2.38) than the Debian that
the images are made of.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2, service_pb2  # type: ignore[import-untyped]

from plimsoll.preflight.client import Prepared

SCRIPT = Path(__file__).with_name("k6.js")
USERS = 300
"""Requests that k6 can have in flight; a second of them at the benchmark's rate."""
_QUIET = {"K6_NO_USAGE_REPORT": "true", "K6_AUTO_EXTENSION_RESOLUTION": "false", "K6_NO_COLOR": "true"}


class GeneratorError(Exception):
    """A generator did not send what it was asked to; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one generator saw in one turn; arrays in order of the answers.

    Attributes:
        at_s: When each request was answered, from any moment on.
        latency_ms: How long each took.
    """

    at_s: NDArray[np.float64]
    latency_ms: NDArray[np.float64]

    def after(self, seconds: float) -> Answers:
        """Leaves out the first seconds, in which connections are made."""
        late = self.at_s >= self.at_s[0] + seconds
        return Answers(self.at_s[late], self.latency_ms[late])

    @property
    def per_s(self) -> float:
        """Answers per second, between the first and the last."""
        return (self.at_s.size - 1) / float(self.at_s[-1] - self.at_s[0])

    def quantile_ms(self, quantile: float) -> float:
        """A quantile of the latency."""
        return float(np.quantile(self.latency_ms, quantile))


@dataclass(frozen=True, slots=True)
class K6:
    """A k6 that is ready to send one request to one model.

    Attributes:
        program: The binary.
        folder: For its inputs and output.
        target: `host:port` of the server's gRPC.
    """

    program: Path
    folder: Path
    target: str

    def write(self, request: Prepared) -> None:
        """Writes what is sent, and the protocol's description, where the script finds them."""
        described = FileDescriptorSet()
        for module in (model_config_pb2, service_pb2):  # in this order: the second imports the first
            described.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
        (self.folder / "protocol").write_bytes(described.SerializeToString())
        (self.folder / "request.json").write_text(json.dumps(request_json(request)))

    def send(self, rate: int, seconds: float) -> Answers:
        """Sends at equal distances for so long, and waits for the answers.

        Raises:
            GeneratorError: Requests failed or were dropped, or k6 itself failed.
        """
        output = self.folder / "output.json"
        output.unlink(missing_ok=True)
        command = [str(self.program), "run", "--quiet", "--address", "", "--out", f"json={output}", str(SCRIPT)]
        done = subprocess.run(
            command,
            env={**os.environ, **_QUIET, **self._given(rate, seconds)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise GeneratorError(f"k6 ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        with output.open() as lines:
            return read_output(lines)

    def _given(self, rate: int, seconds: float) -> Mapping[str, str]:
        return {
            "TARGET": self.target,
            "PROTOSET": str(self.folder / "protocol"),
            "REQUEST": str(self.folder / "request.json"),
            "RATE": str(rate),
            "SECONDS": f"{seconds:g}",
            "USERS": str(USERS),
        }


def request_json(request: Prepared) -> dict[str, Any]:
    """Returns a request as protobuf's JSON, which k6 takes."""
    return dict(json_format.MessageToDict(request.message, preserving_proto_field_name=True))


def read_output(lines: Iterable[str]) -> Answers:
    """Reads k6's output, one JSON object a line.

    Raises:
        GeneratorError: It tells of requests that failed or were not sent, or of no request.
    """
    seen: dict[str, list[tuple[float, float]]] = {
        "grpc_req_duration": [],
        "failed_requests": [],
        "dropped_iterations": [],
    }
    for line in lines:
        point = json.loads(line)
        if point["type"] == "Point" and point["metric"] in seen:
            at = datetime.fromisoformat(point["data"]["time"]).timestamp()
            seen[point["metric"]].append((at, float(point["data"]["value"])))
    lost = {name: sum(value for _, value in seen[name]) for name in ("failed_requests", "dropped_iterations")}
    if any(lost.values()) or not seen["grpc_req_duration"]:
        raise GeneratorError(f"k6 sent {len(seen['grpc_req_duration'])} requests, of others it says {lost}.")
    answers = np.array(sorted(seen["grpc_req_duration"]))
    return Answers(answers[:, 0], answers[:, 1])
