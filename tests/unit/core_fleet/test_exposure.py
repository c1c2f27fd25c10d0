"""Which model pods only gateways may reach: closed late, opened early."""

from datetime import datetime, timedelta

import pytest
from tests.support.fleets import DIGITS, NOW, ago, deployment_of, fleet, models_policy_of, stranger

from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.exposure import MOST_OPEN, SETTLING, Exposure, exposure
from plimsoll.core.fleet.observed import Companion, ModelHere
from plimsoll.core.names import MODELS_POLICY_NAME
from plimsoll.core.render.gateway_policy import open_models

LETTERS = ModelHere("letters")
DIRECT = ModelHere("letters", direct=True)
LONG_AGO, JUST_NOW = ago(minutes=5), ago(minutes=1)
SOON = JUST_NOW + SETTLING
NONE = Exposure(policy=False)


def closed_but(*names: str, until: datetime | None = None) -> Exposure:
    return Exposure(policy=True, open=names, requeue_at=until)


@pytest.mark.parametrize(
    ("models", "behind", "policy", "wanted"),
    [
        pytest.param([DIGITS], {}, None, NONE, id="its Service leads to its pods"),
        pytest.param([DIGITS], {"digits": LONG_AGO}, None, closed_but(), id="its Service leads to gateways"),
        pytest.param(
            [DIGITS], {"digits": JUST_NOW}, None, Exposure(policy=False, requeue_at=SOON), id="only since a moment ago"
        ),
        pytest.param(
            [DIGITS], {"digits": JUST_NOW}, models_policy_of(), closed_but(), id="known since a restart, closed before"
        ),
        pytest.param([DIGITS, LETTERS], {"digits": LONG_AGO}, None, closed_but("letters"), id="one of two"),
        pytest.param(
            [DIGITS, LETTERS],
            {"digits": LONG_AGO, "letters": JUST_NOW},
            models_policy_of("letters"),
            closed_but("letters", until=SOON),
            id="the other a moment later",
        ),
        pytest.param(
            [DIGITS, DIRECT],
            {"digits": LONG_AGO, "letters": LONG_AGO},
            models_policy_of(),
            closed_but("letters"),
            id="Direct opens, before the Service leads there",
        ),
        pytest.param([DIRECT], {"letters": LONG_AGO}, models_policy_of(), NONE, id="all Direct"),
        pytest.param(
            [DIGITS],
            {"digits": JUST_NOW},
            stranger(ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME),
            Exposure(policy=False, requeue_at=SOON),
            id="a stranger's policy says nothing",
        ),
    ],
)
def test_who_is_open(
    models: list[ModelHere], behind: dict[str, datetime], policy: Companion | None, wanted: Exposure
) -> None:
    observed = fleet(*models, behind=behind, deployment=deployment_of(), companions=[policy] if policy else [])
    assert exposure(observed, NOW) == wanted


@pytest.mark.parametrize(("count", "policy"), [(MOST_OPEN, True), (MOST_OPEN + 1, False)])
def test_a_long_list_of_exceptions_is_no_policy(count: int, *, policy: bool) -> None:
    """After gateways were switched on in a large namespace, each Service that moves would write the whole list."""
    models = [ModelHere(f"model-{number:03}") for number in range(count)]
    observed = fleet(DIGITS, *models, behind={"digits": LONG_AGO}, deployment=deployment_of())
    assert exposure(observed, NOW).policy is policy


def test_a_policy_tells_whom_it_leaves_out() -> None:
    assert open_models(models_policy_of().body()) == frozenset()
    assert open_models(models_policy_of("b", "a").body()) == {"a", "b"}
    assert open_models({}) == frozenset()


def test_pods_close_at_the_end_of_the_settling_and_not_before() -> None:
    observed = fleet(DIGITS, behind={"digits": NOW}, deployment=deployment_of())
    assert not exposure(observed, NOW + SETTLING - timedelta(seconds=1)).policy
    assert exposure(observed, NOW + SETTLING).policy
