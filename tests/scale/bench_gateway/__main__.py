"""`make bench-gateway`: this gateway beside nginx and HAProxy, on one core each. The last line is one JSON object.

    python -m tests.scale.bench_gateway [--only http|grpc|latency|variants|memory] [--rounds 5] [--seconds 3]

The gateway is the program that users get, compiled as in the image, with its default configuration: a split between two
revisions, records that a controller reads, metrics, second attempts armed, limits, health checks. Model servers, load
generators and messages are the same for all. Arms take turns; ratios have 95 % intervals. Where the machine is shared,
processor time per request is steadier than requests per second.

Figures: `LOAD_rps_ARM`, `LOAD_cpu_us_ARM` (processor time per request), `LOAD_rps_ratio_RIVAL` (above 1: the gateway
does more), `LOAD_cpu_ratio_RIVAL` (below 1: it needs less). Loads: `http`, `http_varying`, `http_64k`, `grpc_1_stream`,
`grpc` (64 streams), `grpc_64k`. Variants beside nginx, which forwards the same requests: `cache_hit`, answered from the
gateway's cache; `..._validated`, values checked before they are sent; `..._logged`, a line about each request.
`--only memory` sends ten million requests instead, half of them over gRPC, and fails where memory or descriptors leak.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.scale.bench_gateway.arms import LOGGED, Arm, arms
from tests.scale.bench_gateway.comparison import added_latency, compare
from tests.scale.bench_gateway.loads import OpenLoad, cache_load, grpc_loads, http_loads, named, validated_loads
from tests.scale.bench_gateway.memory import memory
from tests.scale.saying import say
from tests.support.controller_process import ROOT

from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.unpacked import Program, programs
from plimsoll_dev.images.hot_path import compiled_folder

PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "nghttpd": "nghttp2-server",
}
OPEN_LOOP_PER_S = 5000
CONFIGURATION = (
    "two revisions (950:50 permille), 3 pods, records read by a controller, metrics, retries, limits, health checks; "
    "no cache, no validation, no log of requests, no TLS, no keys"
)
VARIANTS = {
    "cache_hit": "spec.cache with its defaults: one hit in a hundred is computed again",
    "validated": "the interface is known and requests.onInvalid is Reject: requests and answers are read; one revision",
    "logged": "gateway.accessLog 1: a line about each request, through a pipe that somebody reads",
}


def main() -> None:
    """Measures and prints."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what it started ends too
    progress = Progress()
    found = programs(PACKAGES, progress)
    sources = [ROOT / "operator", ROOT]
    modules = sources if given.interpreted else [compiled_folder(progress), *sources]
    with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        varied = given.only in {None, "variants"}
        with arms(found, folder, modules, logged=varied) as compared:
            figures = _measure(given, found, folder, compared)
    form = "interpreted" if given.interpreted else "compiled"
    print(json.dumps({"gateway": form, "configuration": CONFIGURATION, "variants": VARIANTS, **figures}))
    if figures.get("memory_leaking") or figures.get("descriptors_leaked"):
        sys.exit("The gateway keeps memory or descriptors that it does not need.")


def _measure(
    given: argparse.Namespace, found: Mapping[str, Program], folder: Path, running: Mapping[str, Arm]
) -> dict[str, object]:
    compared = {name: arm for name, arm in running.items() if name != LOGGED}
    http, grpc = http_loads(found["wrk"], folder), grpc_loads(found["h2load"], folder)
    if given.only == "memory":
        return memory(compared["gateway"], [http[1], grpc[1]], given.requests)
    figures: dict[str, object] = {"rounds": given.rounds, "seconds": given.seconds}
    for load in http if given.only in {None, "http"} else ():
        figures |= compare(load, compared, given.rounds, given.seconds)
    for call in grpc if given.only in {None, "grpc"} else ():
        figures |= compare(call, compared, given.rounds, given.seconds)
    if given.only in {None, "latency"}:
        say(f"{OPEN_LOOP_PER_S} requests/s over HTTP, open loop")
        opened = OpenLoad(found["h2load"], folder, OPEN_LOOP_PER_S)
        figures |= added_latency(opened, compared, given.rounds, given.seconds)
    if given.only in {None, "variants"}:
        two = {name: running[name] for name in ("gateway", "nginx")}
        logged = {**two, "gateway": running[LOGGED]}
        for varied in (cache_load(found["wrk"], folder), *validated_loads(found["wrk"], found["h2load"], folder)):
            figures |= compare(varied, two, given.rounds, given.seconds)
        for varied in named([http[0], http[2], grpc[1]], "logged"):
            figures |= compare(varied, logged, given.rounds, given.seconds)
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.scale.bench_gateway", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=["http", "grpc", "latency", "variants", "memory"])
    parser.add_argument("--rounds", type=int, default=5, help="each arm is measured twice a round; 3 at least")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--requests", type=int, default=10_000_000, help="of the memory run")
    parser.add_argument("--interpreted", action="store_true", help="measure the gateway without compiled modules")
    return parser


if __name__ == "__main__":
    main()
