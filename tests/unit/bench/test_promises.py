"""What the benchmark reads from the profile phase."""

import pytest
from tests.scale.preflight_bench.promises import NotPromisedError, Promised, read_promise

from plimsoll.api.preflight_report import Capacity, PhaseName, PhaseReport, PhaseStatus, ProfileFigures


def said(message: str) -> PhaseReport:
    return PhaseReport(name=PhaseName.PROFILE, status=PhaseStatus.PASSED, reason="R", message=message)


def figures(*capacity: Capacity) -> ProfileFigures:
    return ProfileFigures(
        rows=[],
        fit=None,
        knee=None,
        recommended_max_batch=None,
        cliffs=[],
        objective_ms=200,
        objective_quantile=0.99,
        capacity=list(capacity),
        attainable=True,
    )


def test_a_confirmed_rate_comes_with_its_prediction() -> None:
    confirmed = Capacity(replicas=1, requests_per_s=310.0, confirmed=True)
    found = read_promise(said("One replica carries 310 requests/s, measured (345 predicted)."), figures(confirmed))
    assert found == Promised(345.0, 310.0, confirmed=True)


def test_an_unconfirmed_rate_is_the_prediction() -> None:
    predicted = Capacity(replicas=1, requests_per_s=345.5, confirmed=False)
    assert read_promise(said("predicted only."), figures(predicted)) == Promised(345.5, 345.5, confirmed=False)


@pytest.mark.parametrize("given", [None, figures(), figures(Capacity(replicas=1, requests_per_s=0, confirmed=False))])
def test_no_rate_is_no_promise(given: ProfileFigures | None) -> None:
    with pytest.raises(NotPromisedError, match="One request alone takes 9 s"):
        read_promise(said("One request alone takes 9 s."), given)
