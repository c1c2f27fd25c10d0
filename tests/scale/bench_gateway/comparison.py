"""Loads all arms in turns, and makes figures and ratios of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.scale.bench_gateway.arms import Arm
from tests.scale.bench_gateway.loads import Load, OpenLoad
from tests.scale.preflight_bench.ratio import Ratio, ratio
from tests.scale.saying import say

RIVALS = ("nginx", "haproxy")
_MEASURED = TypeVar("_MEASURED")


@dataclass(frozen=True)
class Sample:
    """One turn of one arm.

    Attributes:
        rps: Requests per second.
        cpu_us: Processor time of the proxy per request, in microseconds.
    """

    rps: float
    cpu_us: float


def in_turns(
    arms: Mapping[str, Arm], rounds: int, turn: Callable[[Arm], _MEASURED]
) -> Mapping[str, Sequence[_MEASURED]]:
    """Measures each arm twice a round, in one order and then in the reverse one.

    So each arm's figures come in pairs, and between the two of any pair lie both or none of another arm's: a machine
    that gets steadily faster or slower within a round favours nobody.
    """
    found: dict[str, list[_MEASURED]] = {name: [] for name in arms}
    for number in range(rounds):
        order = sorted(arms)
        order = order[number % len(order) :] + order[: number % len(order)]
        for name in (*order, *reversed(order)):
            found[name].append(turn(arms[name]))
    return found


def compare(load: Load, arms: Mapping[str, Arm], rounds: int, seconds: int) -> dict[str, object]:
    """Returns the figures of a load; the first second of each arm is not among them."""
    for arm in arms.values():
        load.run(arm, 1)
    samples = in_turns(arms, rounds, lambda arm: _sample(load, arm, seconds))
    figures = medians(load.name, samples) | ratios(load.name, samples)
    say(", ".join(f"{name} {value}" for name, value in figures.items()))
    return figures


def _sample(load: Load, arm: Arm, seconds: int) -> Sample:
    before = arm.cpu_s()
    run = load.run(arm, seconds)
    return Sample(run.per_s, (arm.cpu_s() - before) / run.requests * 1e6)


def medians(load: str, samples: Mapping[str, Sequence[Sample]]) -> dict[str, object]:
    """Returns `LOAD_rps_ARM` and `LOAD_cpu_us_ARM`."""
    figures: dict[str, object] = {}
    for name, turns in samples.items():
        figures[f"{load}_rps_{name}"] = round(statistics.median(turn.rps for turn in turns))
        if name != "direct":
            figures[f"{load}_cpu_us_{name}"] = round(statistics.median(turn.cpu_us for turn in turns), 1)
    return figures


def ratios(load: str, samples: Mapping[str, Sequence[Sample]]) -> dict[str, object]:
    """Returns `LOAD_rps_ratio_RIVAL` and `LOAD_cpu_ratio_RIVAL` of the gateway, each with its interval."""
    figures: dict[str, object] = {}
    for rival in [rival for rival in RIVALS if rival in samples]:
        pairs = list(zip(samples["gateway"], samples[rival], strict=True))
        figures |= _paired([(ours.rps, theirs.rps) for ours, theirs in pairs]).figures(f"{load}_rps_ratio_{rival}")
        figures |= _paired([(ours.cpu_us, theirs.cpu_us) for ours, theirs in pairs]).figures(
            f"{load}_cpu_ratio_{rival}"
        )
    return figures


def _paired(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The ratio of figures that `in_turns` measured: two of each per round."""
    rounds = zip(pairs[::2], pairs[1::2], strict=True)
    return ratio([(first[0], first[1], second[1], second[0]) for first, second in rounds])


def added_latency(load: OpenLoad, arms: Mapping[str, Arm], rounds: int, seconds: int) -> dict[str, object]:
    """Returns what proxies add to the latencies of a direct call, in microseconds: medians over the turns.

    `p99_added_ratio_nginx` is the ratio of what this gateway and nginx add; none where nginx adds nothing measurable.
    """
    samples = in_turns(arms, rounds, lambda arm: load.latencies_s(arm, seconds))
    figures: dict[str, object] = {"open_loop_rps": load.per_s}
    for share in (50, 99):
        of = {name: _median_percentile(turns, share) for name, turns in samples.items()}
        added = {name: value - of["direct"] for name, value in of.items() if name != "direct"}
        figures[f"p{share}_us_direct"] = round(of["direct"] * 1e6)
        figures |= {f"p{share}_added_us_{name}": round(value * 1e6) for name, value in added.items()}
        if added["nginx"] > 0:
            figures[f"p{share}_added_ratio_nginx"] = round(added["gateway"] / added["nginx"], 3)
    say(", ".join(f"{name} {value}" for name, value in figures.items()))
    return figures


def _median_percentile(turns: Sequence[Sequence[float]], share: int) -> float:
    return statistics.median(turn[min(len(turn) - 1, len(turn) * share // 100)] for turn in turns)
