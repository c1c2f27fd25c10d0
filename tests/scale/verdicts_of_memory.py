"""How often the memory phase is right about models that leak and models that only look like it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.scale.error_rate import highest_rate
from tests.scale.saying import say
from tests.support.planted_server import run_phase, run_whole, serving_planted

from plimsoll.api.preflight_report import MemoryFigures, PhaseName
from plimsoll.preflight.phases import memory

LEAKING = "leaking"
INNOCENT = ("clean", "caching", "arena")
REQUEST_MS = (1, 10, 100)
CALLED, UNDECIDED = "MemoryLeak", "TooFewRequests"

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the models are, and the time for the phase."""

    name: str
    request_ms: float
    phase_seconds: float


QUICK = Pace("memory", 0, 60.0)
"""10,000 requests, one after the other."""
SLOW = Pace("slow_memory", 100, 40.0)
"""What the phase gets of the default budget: thousands only if several are sent at once."""


def memory_verdicts(pace: Pace, runs: int) -> Figures:
    """Asks the phase alone, each time a server that has answered nothing: a cache that is full does not fill."""
    missed = runs - _called(LEAKING, pace, runs)
    alarms = {model: _called(model, pace, runs) for model in INNOCENT}
    figures = _counted("leak", "missed", missed, runs)
    for model, count in alarms.items():
        figures |= _counted(model, "false_alarms", count, runs)
    figures |= _counted("innocent", "false_alarms", sum(alarms.values()), runs * len(INNOCENT))
    return {f"{pace.name}_{name}": value for name, value in figures.items()}


def _counted(model: str, what: str, errors: int, runs: int) -> Figures:
    return {
        f"{model}_runs": runs,
        f"{model}_{what}": errors,
        f"{model}_{what}_percent_95": round(100 * highest_rate(errors, runs), 1),
    }


def _called(model: str, pace: Pace, runs: int) -> int:
    """Returns how many runs call the model leaking."""
    reasons = [_reason(model, pace, number) for number in range(1, runs + 1)]
    called = reasons.count(CALLED)
    undecided = reasons.count(UNDECIDED)
    say(f"{model}, {pace.request_ms} ms: called leaking in {called} of {runs} runs, undecided in {undecided}")
    return called


def _reason(model: str, pace: Pace, number: int) -> str:
    with serving_planted(model, fixed_ms=pace.request_ms) as server:
        report, figures = run_phase(
            server,
            model,
            memory.examine,
            PhaseName.MEMORY,
            seconds=pace.phase_seconds,
            seed=number,
            examiner={"process_id": server.process_id},
        )
    say(f"{model} {number}: {report.reason}. {_in_numbers(figures)}")
    return report.reason


def _in_numbers(figures: object) -> str:
    if not isinstance(figures, MemoryFigures):
        return "nothing measured"
    host = figures.slopes[0]
    return (
        f"{host.bytes_per_request:.0f} ({host.low:.0f} to {host.high:.0f}, {host.second_half:.0f} in the second half) "
        f"bytes a request over {host.requests}; {host.detectable:.0f} would have shown"
    )


def default_budget_verdicts() -> Figures:
    """Runs whole preflights with the default budget: what does the phase say when it gets what the others leave?"""
    figures: Figures = {}
    for request_ms in REQUEST_MS:
        for model, called in (("clean", False), (LEAKING, True)):
            with serving_planted(model, fixed_ms=request_ms) as server:
                report = run_whole(server, model)
            phase = next(one for one in report.phases if one.name is PhaseName.MEMORY)
            found = report.figures.memory
            say(f"{model}, {request_ms} ms: {phase.reason} after {phase.seconds:.0f} s. {_in_numbers(found)}")
            name = f"default_{model}_{request_ms}ms"
            figures[f"{name}_right"] = found is not None and (phase.reason == CALLED) == called
            figures[f"{name}_requests"] = found.slopes[0].requests if found else 0
            figures[f"{name}_seconds"] = round(phase.seconds, 1)
            if found:
                figures[f"{name}_detectable_bytes"] = round(found.slopes[0].detectable)
    return figures
