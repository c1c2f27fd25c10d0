"""`make bench-preflight`: whether what a preflight says of a model's speed is true. The last line is one JSON object.

Two parts, each to be left out with `--only`: `promise` holds the promised capacity of four models against load;
`generator` compares the preflight's load generator with another one on the same model.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.scale.preflight_bench.generators import MODEL, QUICK, Plan, compare_generators
from tests.scale.preflight_bench.promises import measure_promise
from tests.scale.preflight_bench.served import MODELS, lay_out
from tests.scale.saying import say

from plimsoll_dev.images.local_triton import running_triton

PARTS = ("promise", "generator")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part to measure; both without it")
    parser.add_argument("--model", choices=MODELS, action="append", help="a model of `promise`; all without it")
    parser.add_argument("--quick", action="store_true", help="fewer requests, for a look; proves nothing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` ends what it started
    parts = given.only or PARTS
    figures: dict[str, object] = {"quick": given.quick}
    if "promise" in parts:
        figures |= _promises(given.model or MODELS, quick=given.quick)
    if "generator" in parts:
        figures |= _generators(quick=given.quick)
    print(json.dumps(figures))


def _promises(models: list[str], *, quick: bool) -> dict[str, object]:
    """Serves each model alone: the others' processes would share its CPUs."""
    figures: dict[str, object] = {}
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            lay_out(Path(folder), [model])
            with running_triton(Path(folder)) as server:
                measured = measure_promise(server, model, quick=quick)
        figures |= {f"capacity_ratio_{model}": measured.pop("capacity_ratio"), model: measured}
        say(f"{model}: {json.dumps(measured)}")
    return figures


def _generators(*, quick: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder / "repository", [MODEL])
        with running_triton(folder / "repository") as server:
            return compare_generators(server, folder, QUICK if quick else Plan())


if __name__ == "__main__":
    main()
