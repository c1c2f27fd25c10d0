"""`make bench-controller`: what the controller costs. The last line is one JSON object.

Three parts, each to be left out with `--only`: `fake`, the strict fake API server with 5,000 ModelDeployments; `real`,
a real API server with 500; `ready`, a real cluster, for the time from apply to Ready.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.scale.against_fake import against_fake
from tests.scale.against_real import against_real
from tests.scale.ready_ratio import measure_ready_ratio

PARTS = ("fake", "real", "ready")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=5000, help="ModelDeployments in the fake")
    parser.add_argument("--real-objects", type=int, default=500, help="ModelDeployments in the real API server")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part to measure; all without it")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` ends what it started
    parts = given.only or PARTS
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "fake" in parts:
            figures |= against_fake(Path(folder), given.objects)
        if "real" in parts:
            figures |= against_real(Path(folder), given.real_objects)
        if "ready" in parts:
            figures |= measure_ready_ratio().figures()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
