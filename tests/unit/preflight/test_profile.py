"""The batch profile of models whose batch times are known, in virtual time."""

import pytest
from tests.support.timed_session import TimedSession, measuring, objective
from tests.support.virtual_time import run_virtually

from plimsoll.api.preflight_report import Capacity, CliffKind, PhaseName, PhaseReport, PhaseStatus, ProfileFigures
from plimsoll.core.preflight.capacity import predicted_capacity
from plimsoll.preflight.failures import NoAnswerError, RefusedError, ServerGoneError
from plimsoll.preflight.phases import InterruptedPhaseError, profile
from plimsoll.preflight.phases.profile import scaled
from plimsoll.preflight.probing import Confirmation
from plimsoll.preflight.sweep import batch_sizes


def examine(session: TimedSession, seconds: float = 60.0, **asked: object) -> tuple[PhaseReport, ProfileFigures]:
    async def work() -> tuple[PhaseReport, ProfileFigures]:
        report, figures = await profile.examine(session, measuring(PhaseName.PROFILE, seconds, **asked))  # type: ignore[arg-type]
        assert isinstance(figures, ProfileFigures)
        return report, figures

    return run_virtually(work())


def constant(_batch: int) -> float:
    return 10.0


def linear(batch: int) -> float:
    return 6.0 + batch


def cliff_at_64(batch: int) -> float:
    return (4.0 + 0.25 * batch) * (3 if batch >= 64 else 1)


@pytest.fixture
def _one_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the simulation of larger pools, which takes seconds, where only one replica is looked at."""
    monkeypatch.setattr(profile, "predicted_capacity", lambda *question: predicted_capacity(*question[:4], (1,)))


@pytest.mark.parametrize(
    ("largest", "wanted", "sizes"),
    [
        (64, None, [1, 2, 4, 8, 16, 32, 64]),
        (128, None, [1, 2, 4, 8, 16, 32, 64, 128]),
        (100, None, [1, 2, 4, 8, 16, 32, 64, 100]),
        (1, None, [1]),
        (8, [4, 16], [1, 4]),
    ],
)
def test_sizes(largest: int, wanted: list[int] | None, sizes: list[int]) -> None:
    assert batch_sizes(largest, wanted) == sizes


def test_a_linear_model_is_fitted() -> None:
    report, figures = examine(TimedSession(linear))
    assert (report.status, report.reason) == (PhaseStatus.PASSED, "Profiled")
    assert figures.fit is not None
    assert figures.fit.linear
    assert (figures.fit.fixed_ms, figures.fit.per_item_ms) == (pytest.approx(6), pytest.approx(1))
    assert [row.batch for row in figures.rows] == [1, 2, 4, 8, 16, 32, 64]
    assert (figures.cliffs, figures.capacity, figures.attainable) == ([], [], None)


def test_a_cliff_is_located_and_explained() -> None:
    report, figures = examine(TimedSession(cliff_at_64, max_batch=128))
    assert (report.status, report.reason) == (PhaseStatus.WARNED, "BatchCliff")
    assert [(cliff.batch, cliff.kind) for cliff in figures.cliffs] == [(64, CliffKind.ITEM_TIME)]
    assert figures.recommended_max_batch == 63
    assert "maximum batch size at 63" in report.message
    assert "spec.model.config.maxBatchSize" in report.message


@pytest.mark.parametrize("at", [33, 40, 50, 64])
def test_a_cliff_between_two_sizes_is_located(at: int) -> None:
    _, figures = examine(TimedSession(lambda batch: (4.0 + 0.25 * batch) * (3 if batch >= at else 1)))
    assert [cliff.batch for cliff in figures.cliffs] == [at]


def test_a_gradual_rise_is_a_cliff_at_the_size_that_shows_it() -> None:
    def gradual(batch: int) -> float:
        return batch * (1.0 if batch <= 32 else 1 + (batch - 32) / 40)

    _, figures = examine(TimedSession(gradual))
    assert [cliff.batch for cliff in figures.cliffs] == [64]


@pytest.mark.parametrize("batch_ms", [constant, linear])
def test_capacity_is_confirmed_where_it_was_predicted(batch_ms: object) -> None:
    session = TimedSession(batch_ms, max_batch=16)  # type: ignore[arg-type]
    report, figures = examine(session, seconds=400, objective=objective(100))
    one, *more = figures.capacity
    assert (report.status, report.reason) == (PhaseStatus.PASSED, "CapacityConfirmed")
    assert (one.replicas, one.confirmed) == (1, True)
    assert [(capacity.replicas, capacity.confirmed) for capacity in more] == [(n, False) for n in (2, 4, 8, 16)]
    assert (figures.objective_ms, figures.objective_quantile, figures.attainable) == (100, 0.9, True)
    saturation = 16_000 / (10 if batch_ms is constant else 22)
    assert 0.8 * saturation < one.requests_per_s < 1.05 * saturation


@pytest.mark.usefixtures("_one_replica")
def test_time_in_which_nothing_is_computed_takes_no_capacity() -> None:
    _, alone = examine(TimedSession(constant, max_batch=1), objective=objective(100))
    _, far = examine(TimedSession(constant, max_batch=1, overhead_ms=20), objective=objective(120))
    assert far.capacity[0].requests_per_s == pytest.approx(alone.capacity[0].requests_per_s, rel=0.08)


@pytest.mark.usefixtures("_one_replica")
@pytest.mark.parametrize(("pause_ms", "overhead_ms"), [(5, 5), (5, 20)])
def test_a_pause_between_batches_takes_capacity(pause_ms: float, overhead_ms: float) -> None:
    session = TimedSession(constant, max_batch=1, pause_ms=pause_ms, overhead_ms=overhead_ms)
    longer = TimedSession(lambda _batch: 10.0 + pause_ms, max_batch=1)
    # Too short to confirm anything: it is the prediction that counts the pause.
    _, pausing = examine(session, seconds=1.2, objective=objective(95 + int(overhead_ms)))
    _, computing = examine(longer, seconds=1.2, objective=objective(100))
    assert not pausing.capacity[0].confirmed
    assert pausing.capacity[0].requests_per_s == pytest.approx(computing.capacity[0].requests_per_s, rel=0.05)


@pytest.mark.usefixtures("_one_replica")
def test_without_time_to_confirm_the_capacity_stays_predicted() -> None:
    report, figures = examine(TimedSession(constant, max_batch=2), seconds=1.2, objective=objective(100))
    assert (report.status, report.reason) == (PhaseStatus.WARNED, "CapacityUnconfirmed")
    assert not any(capacity.confirmed for capacity in figures.capacity)
    assert figures.capacity[0].requests_per_s > 0
    assert "raise spec.preflight.budget" in report.message


def test_an_objective_that_one_request_alone_misses() -> None:
    report, figures = examine(TimedSession(constant), objective=objective(9))
    assert (report.status, report.reason) == (PhaseStatus.FAILED, "SLOUnattainable")
    assert "One request alone takes 10 ms" in report.message
    assert (figures.attainable, figures.capacity) == (False, [])


def test_a_headroom_that_leaves_no_time_for_one_request() -> None:
    report, figures = examine(TimedSession(constant), objective=objective(16, headroom="50%"))
    assert (report.status, report.reason) == (PhaseStatus.WARNED, "HeadroomUnattainable")
    assert "Lower spec.objective.headroom" in report.message
    assert figures.attainable is True


def refuses_from(batch: int) -> TimedSession:
    def fails(rows: int) -> None:
        if rows >= batch:
            raise RefusedError("out of memory", rows)

    return TimedSession(linear, fails=fails)


def test_a_size_that_is_refused_is_named_and_the_others_are_measured() -> None:
    session = refuses_from(32)
    report, figures = examine(session)
    assert (report.status, report.reason) == (PhaseStatus.FAILED, "BatchFails")
    assert "A batch of 32 fails: out of memory" in report.message
    assert [row.failure is None for row in figures.rows] == [True] * 5 + [False] * 2
    assert session.sent.count(32) == 2  # once more, in case it was the moment


def test_a_size_that_failed_once_and_then_works_is_measured() -> None:
    failures = iter([True])

    def fails_once(rows: int) -> None:
        if rows == 8 and next(failures, False):
            raise RefusedError("hiccup", rows)

    report, figures = examine(TimedSession(linear, fails=fails_once))
    assert report.status is PhaseStatus.PASSED
    assert all(row.failure is None and row.median_ms is not None for row in figures.rows)


def test_a_model_that_refuses_single_items_is_judged_by_the_caller() -> None:
    with pytest.raises(RefusedError):
        examine(refuses_from(1))


@pytest.mark.parametrize("error", [ServerGoneError, NoAnswerError])
def test_a_server_that_dies_at_a_size_leaves_what_was_measured_below(
    error: type[ServerGoneError | NoAnswerError],
) -> None:
    def fails(rows: int) -> None:
        if rows >= 64:
            raise error("gone", rows)

    with pytest.raises(InterruptedPhaseError) as caught:
        examine(TimedSession(linear, fails=fails))
    figures = caught.value.figures
    assert isinstance(figures, ProfileFigures)
    assert [(row.batch, row.failure) for row in figures.rows if row.failure] == [(64, "gone")]
    assert [row.median_ms for row in figures.rows[:-1]] == pytest.approx([7, 8, 10, 14, 22, 38])


def test_a_model_without_batching_has_one_size() -> None:
    _, figures = examine(TimedSession(constant, max_batch=0))
    assert [row.batch for row in figures.rows] == [1]


def test_no_usable_input_is_a_reason_to_skip() -> None:
    async def work() -> PhaseReport:
        report, figures = await profile.examine(TimedSession(constant), measuring(PhaseName.PROFILE, rows=0))  # type: ignore[arg-type]
        assert figures is None
        return report

    assert run_virtually(work()).reason == "InputsRefused"


def test_a_slow_model_gets_a_few_requests_of_every_size_and_no_more() -> None:
    session = TimedSession(lambda batch: 500.0 * batch, max_batch=8)
    _, figures = examine(session, seconds=10, request_timeout_s=30.0)
    assert [row.batch for row in figures.rows] == [1, 2, 4, 8]
    assert all(row.median_ms == pytest.approx(500 * row.batch) for row in figures.rows)
    assert len(session.sent) < 60


def test_a_slow_model_is_not_taken_for_one_that_hangs_at_its_larger_batches() -> None:
    """A second for each item: 32 of them take longer than a request may."""
    session = TimedSession(lambda batch: 1000.0 * batch, max_batch=64)
    report, figures = examine(session, seconds=34, request_timeout_s=30.0)
    assert report.status is PhaseStatus.PASSED
    assert [row.batch for row in figures.rows] == [1, 2, 4, 8]
    assert max(session.sent) == 8
    assert report.message.endswith(
        "Batches of 16 and more were left out: they would take about as long as a model that hangs."
    )


def test_predictions_are_scaled_by_what_was_measured_at_one_replica() -> None:
    predicted = [Capacity(replicas=number, requests_per_s=100.0 * number, confirmed=False) for number in (1, 2, 4)]
    assert scaled(predicted, Confirmation(80, 85)) == [
        Capacity(replicas=1, requests_per_s=80, confirmed=True),
        Capacity(replicas=2, requests_per_s=160, confirmed=False),
        Capacity(replicas=4, requests_per_s=320, confirmed=False),
    ]
    assert scaled(predicted, Confirmation(None, 85, "no time")) == predicted
