"""What the memory phase sends and how it reads what comes back; the statistics have tests of their own."""

from collections.abc import Callable, Mapping

import pytest
from tests.support.preflight_figures import batch_row, failed_row
from tests.support.timed_session import TimedSession, measuring
from tests.support.virtual_time import run_virtually

from plimsoll.api.preflight_report import Figures, MemoryFigures, PhaseName, PhaseReport, PhaseStatus, ProfileFigures
from plimsoll.errors import PlimsollError
from plimsoll.preflight.failures import OverloadedError
from plimsoll.preflight.phases import Outcome, memory
from plimsoll.preflight.phases.memory import ENOUGH_REQUESTS, LEAST_REQUESTS, WARM_LARGEST, observe


class Grows:
    """Memory as a function of the requests sent so far."""

    def __init__(self, session: TimedSession, resident: Callable[[int], Mapping[str, int]]) -> None:
        self.session, self.resident = session, resident

    async def read(self) -> Mapping[str, int]:
        return self.resident(len(self.session.sent))

    async def close(self) -> None:
        pass


STILL = {"host": 10**8}
PROFILE = ProfileFigures(
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


def watch_session(
    session: TimedSession, resident: Callable[[int], Mapping[str, int]], seconds: float, **asked: object
) -> tuple[PhaseReport, MemoryFigures | None]:
    async def work() -> Outcome:
        context = measuring(PhaseName.MEMORY, seconds, **asked)  # type: ignore[arg-type]
        return await observe(session, context, context.inputs.rows(), Grows(session, resident))  # type: ignore[arg-type]

    report, figures = run_virtually(work())
    assert figures is None or isinstance(figures, MemoryFigures)
    return report, figures


def watch(
    resident: Callable[[int], Mapping[str, int]], seconds: float = 60.0, request_ms: float = 5.0, **asked: object
) -> tuple[PhaseReport, MemoryFigures | None, list[int]]:
    session = TimedSession(lambda _batch: request_ms)
    return *watch_session(session, resident, seconds, **asked), session.sent


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


@pytest.mark.parametrize("profiled", [False, True])
def test_only_a_profile_saves_the_time_to_warm_up_with_the_largest_batch(*, profiled: bool) -> None:
    figures = Figures(profile=PROFILE if profiled else None)
    _, _, sent = watch(lambda _sent: STILL, figures=figures)
    assert sum(rows > 1 for rows in sent) == (1 if profiled else WARM_LARGEST)


def test_a_batch_that_the_profile_saw_fail_is_not_sent_again() -> None:
    _, _, sent = watch(lambda _sent: {"host": 10**8}, figures=Figures(profile=PROFILE))
    assert max(sent) == 16


def requests_of(session: TimedSession, seconds: float) -> int:
    _, figures = watch_session(session, lambda _sent: STILL, seconds)
    return figures.slopes[0].requests if figures else 0


class TestSlowModels:
    """Requests of 100 ms, in about the time that the other phases leave of the default budget."""

    SECONDS = 40.0

    def test_one_that_batches_is_sent_several_at_once_until_there_are_thousands(self) -> None:
        session = TimedSession(lambda _batch: 100.0)
        assert requests_of(session, self.SECONDS) >= ENOUGH_REQUESTS

    @pytest.mark.parametrize(
        "session",
        [
            pytest.param(TimedSession(lambda _batch: 100.0, max_batch=0), id="cannot batch"),
            pytest.param(TimedSession(lambda batch: 100.0 * batch, max_batch=4), id="gains nothing by it"),
        ],
    )
    def test_others_are_sent_one_request_at_a_time_and_judged_by_hundreds(self, session: TimedSession) -> None:
        assert LEAST_REQUESTS <= requests_of(session, self.SECONDS) < self.SECONDS / 0.1

    def test_a_short_queue_is_not_filled_twice(self) -> None:
        def full(_rows: int) -> None:
            if len(session.waiting) >= 4:
                refused.append(len(session.sent))
                raise OverloadedError("exceeds maximum queue size", 1)

        refused: list[int] = []
        session = TimedSession(lambda _batch: 100.0, fails=full)
        assert requests_of(session, self.SECONDS) >= LEAST_REQUESTS
        assert refused[-1] - refused[0] < 32

    def test_what_waits_for_longer_than_an_answer_may_take_would_pass_for_hanging(self) -> None:
        waited: list[int] = []
        session = TimedSession(
            lambda batch: 100.0 * batch, max_batch=64, fails=lambda _: waited.append(len(session.waiting))
        )
        watch_session(session, lambda _sent: STILL, 300.0, request_timeout_s=1.0)
        assert max(waited) < 1.0 / 2 / 0.1

    def test_a_leak_in_few_requests_may_be_a_cache(self) -> None:
        session = TimedSession(lambda _batch: 100.0, max_batch=0)
        report, _ = watch_session(session, lambda sent: {"host": 10**8 + 4096 * sent}, self.SECONDS)
        assert report.reason == "MemoryLeak"
        assert "a cache: raise spec.preflight.budget" in report.message

    @pytest.mark.parametrize("seconds", [0.5, 2.0, 15.0])
    def test_too_little_time_is_a_reason_to_skip(self, seconds: float) -> None:
        session = TimedSession(lambda _batch: 100.0, max_batch=0)
        report, figures = watch_session(session, lambda _sent: STILL, seconds)
        assert (report.status, report.reason, figures) == (PhaseStatus.SKIPPED, "TooFewRequests", None)
        assert len(session.sent) < LEAST_REQUESTS


def test_a_server_that_becomes_slower_leaves_too_few_looks() -> None:
    session = TimedSession(lambda _batch: 5.0 + len(session.sent) / 20)
    report, figures = watch_session(session, lambda _sent: STILL, 60.0)
    assert (report.status, report.reason, figures) == (PhaseStatus.SKIPPED, "TooFewRequests", None)
    assert "looks at the memory" in report.message


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
