"""What the memory phase sends and how it reads what comes back; the statistics have tests of their own."""

from collections.abc import Callable, Mapping

import pytest
from tests.support.preflight_figures import batch_row, failed_row
from tests.support.timed_session import TimedSession, measuring
from tests.support.virtual_time import run_virtually

from plimsoll.api.preflight_report import Figures, MemoryFigures, PhaseName, PhaseReport, PhaseStatus, ProfileFigures
from plimsoll.errors import PlimsollError
from plimsoll.preflight.phases import Outcome, memory
from plimsoll.preflight.phases.memory import SAMPLES, WARM_LARGEST, observe


class Grows:
    """Memory as a function of the requests sent so far."""

    def __init__(self, session: TimedSession, resident: Callable[[int], Mapping[str, int]]) -> None:
        self.session, self.resident = session, resident

    async def read(self) -> Mapping[str, int]:
        return self.resident(len(self.session.sent))

    async def close(self) -> None:
        pass


def watch(
    resident: Callable[[int], Mapping[str, int]], seconds: float = 60.0, request_ms: float = 5.0, **asked: object
) -> tuple[PhaseReport, MemoryFigures | None, list[int]]:
    session = TimedSession(lambda _batch: request_ms)

    async def work() -> Outcome:
        context = measuring(PhaseName.MEMORY, seconds, **asked)  # type: ignore[arg-type]
        return await observe(session, context, context.inputs.rows(), Grows(session, resident))  # type: ignore[arg-type]

    report, figures = run_virtually(work())
    assert figures is None or isinstance(figures, MemoryFigures)
    return report, figures, session.sent


def test_a_leak_is_told_with_its_size_and_when_it_hurts() -> None:
    report, figures, _ = watch(lambda sent: {"host": 10**8 + 1024 * sent})
    assert (report.status, report.reason) == (PhaseStatus.FAILED, "MemoryLeak")
    assert "grows by 1024 bytes a request" in report.message
    assert "1 GiB after 1,048,576 requests" in report.message
    assert figures is not None
    assert figures.slopes[0].requests >= 9000


def test_constant_memory_passes_and_tells_what_would_have_shown() -> None:
    report, _, _ = watch(lambda _sent: {"host": 10**8, "gpu0": 10**9})
    assert (report.status, report.reason) == (PhaseStatus.PASSED, "MemoryStable")
    assert "would have shown" in report.message
    assert "gpu0" in report.message


def test_a_leak_on_a_gpu_is_named() -> None:
    report, _, _ = watch(lambda sent: {"host": 10**8, "gpu0": sent // 100 * (2 << 20), "gpu1": 5})
    assert report.reason == "MemoryLeak"
    assert "gpu0" in report.message


def test_the_shape_is_fixed_after_the_largest_batch() -> None:
    _, _, sent = watch(lambda _sent: {"host": 10**8})
    assert sent[:WARM_LARGEST] == [64] * WARM_LARGEST
    assert set(sent[WARM_LARGEST:]) == {1}


def test_a_batch_that_the_profile_saw_fail_is_not_sent_again() -> None:
    profile = ProfileFigures(
        rows=[batch_row(1, 5.0), batch_row(16, 9.0), failed_row(32, "out of memory")],
        fit=None,
        knee=None,
        recommended_max_batch=None,
        cliffs=[],
        objective_ms=None,
        objective_quantile=None,
        capacity=[],
        attainable=None,
    )
    _, _, sent = watch(lambda _sent: {"host": 10**8}, figures=Figures(profile=profile))
    assert max(sent) == 16


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_too_little_time_is_a_reason_to_skip(seconds: float) -> None:
    report, figures, sent = watch(lambda _sent: {"host": 10**8}, seconds, request_ms=100)
    assert (report.status, report.reason, figures) == (PhaseStatus.SKIPPED, "TooFewRequests", None)
    assert len(sent) < SAMPLES


def test_without_an_examiner_there_is_nothing_to_see() -> None:
    async def work() -> Outcome:
        return await memory.examine(TimedSession(lambda _: 1.0), measuring(PhaseName.MEMORY))  # type: ignore[arg-type]

    assert run_virtually(work())[0].reason == "NoExaminer"


def test_an_examiner_that_falls_silent_skips_the_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        async def read(self) -> Mapping[str, int]:
            raise PlimsollError("MemoryUnreadable", "The examiner beside the model server answers 401.")

        async def close(self) -> None:
            pass

    monkeypatch.setattr(memory, "memory_reader", lambda _: Silent())

    async def work() -> Outcome:
        context = measuring(PhaseName.MEMORY, examiner={"processId": 1})
        return await memory.examine(TimedSession(lambda _: 1.0), context)  # type: ignore[arg-type]

    report, figures = run_virtually(work())
    assert (report.status, report.reason, figures) == (PhaseStatus.SKIPPED, "MemoryUnreadable", None)
