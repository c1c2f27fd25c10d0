"""`make bench-verdicts`: how often the preflight is right about planted faults, on a real Triton without a cluster.

A `percent_95` is the highest rate that the counted errors leave possible at 95 % confidence (error_rate.py). Parts, all
of them unless `--only` names some: `memory`, leaks and what only looks like one; `slow`, the same at 100 ms a request;
`budget`, whole preflights with the default budget; `cliff`, batch cliffs; `answers`, determinism and batch invariance.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys

from tests.scale.verdicts_of_answers import answer_verdicts, cliff_verdicts
from tests.scale.verdicts_of_memory import QUICK, SLOW, default_budget_verdicts, memory_verdicts

PARTS = ("memory", "slow", "budget", "cliff", "answers")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory-runs", type=int, default=20, help="runs of the memory phase on each quick model")
    parser.add_argument("--runs", type=int, default=10, help="runs on each slow model and of the profile")
    parser.add_argument("--answer-runs", type=int, default=60, help="runs of determinism and batch invariance")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part to measure; all without it")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` ends what it started
    parts = given.only or PARTS
    figures: dict[str, float] = {}
    if "memory" in parts:
        figures |= memory_verdicts(QUICK, given.memory_runs)
    if "slow" in parts:
        figures |= memory_verdicts(SLOW, given.runs)
    if "budget" in parts:
        figures |= default_budget_verdicts()
    if "cliff" in parts:
        figures |= cliff_verdicts(given.runs)
    if "answers" in parts:
        figures |= answer_verdicts(given.answer_runs)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
