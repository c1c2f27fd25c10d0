"""Which revision is wanted and which one serves."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.support.builders import (
    NOW,
    UPGRADED_DEFAULTS,
    ago,
    children_of,
    deployment_of,
    digits,
    observed,
    revision_of,
    stable_service_of,
)

from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.lineage import beyond_history, expired, retirement, stable_of, target_of
from plimsoll.core.names import REFRESH_ANNOTATION
from plimsoll.core.world import Revision, Service

A, B, C = digits("a"), digits("b"), digits("c")
FIRST, SECOND, THIRD = revision_of(A, 1), revision_of(B, 2), revision_of(C, 3)
REFRESHED = revision_of(A, 4, defaults=UPGRADED_DEFAULTS, refresh="today")


def test_a_spec_without_a_revision_asks_for_the_next_one() -> None:
    target = target_of(observed(C, FIRST, SECOND))
    assert target.missing
    assert (target.revision.name, target.revision.number) == (THIRD.name, 3)


def test_the_first_revision_has_number_1() -> None:
    assert target_of(observed(A)).revision.number == 1


def test_a_deleted_snapshot_is_made_again_under_its_number() -> None:
    """The number is Triton's version: with another one the pods would restart."""
    target = target_of(observed(A, deployment_of(A, revision_of(A, 7)), SECOND))
    assert target.missing
    assert (target.revision.name, target.revision.number) == (FIRST.name, 7)


def test_a_deleted_snapshot_whose_defaults_have_changed_is_another_revision() -> None:
    lost = deployment_of(A, revision_of(A, 7))
    target = target_of(observed(A, lost, defaults=UPGRADED_DEFAULTS))
    assert (target.revision.name != FIRST.name, target.revision.number) == (True, 8)


def test_no_number_is_given_twice_while_its_pods_run() -> None:
    assert target_of(observed(C, FIRST, deployment_of(B, revision_of(B, 5)))).revision.number == 6


def test_a_number_that_nobody_remembers_is_the_next_one() -> None:
    forgotten = replace(deployment_of(A, FIRST), number=0)
    assert target_of(observed(A, forgotten, SECOND)).revision.number == 3


def test_going_back_is_going_back_to_the_same_revision() -> None:
    target = target_of(observed(A, FIRST, SECOND))
    assert (target.revision, target.missing) == (FIRST, False)


def test_an_upgrade_asks_for_nothing() -> None:
    target = target_of(observed(A, FIRST, defaults=UPGRADED_DEFAULTS))
    assert (target.revision, target.missing) == (FIRST, False)


def test_the_next_edit_takes_the_new_defaults() -> None:
    target = target_of(observed(B, FIRST, defaults=UPGRADED_DEFAULTS))
    assert target.missing
    assert target.revision.snapshot.triton_image == UPGRADED_DEFAULTS.triton_image


def test_a_refresh_takes_the_new_defaults() -> None:
    owner = digits("a", annotations={REFRESH_ANNOTATION: "today"})
    target = target_of(observed(owner, FIRST, defaults=UPGRADED_DEFAULTS))
    assert target.missing
    assert target.revision.refresh == "today"
    assert target.revision.snapshot.triton_image == UPGRADED_DEFAULTS.triton_image


def test_a_refresh_that_was_done_asks_for_nothing_more() -> None:
    owner = digits("a", annotations={REFRESH_ANNOTATION: "today"})
    assert target_of(observed(owner, FIRST, REFRESHED)).revision == REFRESHED


def test_a_refresh_without_new_defaults_is_the_same_revision() -> None:
    owner = digits("a", annotations={REFRESH_ANNOTATION: "today"})
    target = target_of(observed(owner, FIRST))
    assert (target.revision, target.missing) == (FIRST, False)


def test_taking_the_refresh_annotation_away_keeps_what_it_made() -> None:
    assert target_of(observed(A, FIRST, REFRESHED)).revision == REFRESHED


STATED = ModelDeploymentStatus(stable=FIRST.name)


@pytest.mark.parametrize("ready", [(1, 1), (1, 0), (0, 0)])
def test_status_says_what_serves(ready: tuple[int, int]) -> None:
    """Whatever the Service still selects: a promotion was cut off before it moved, or the caches differ in age."""
    running = (*children_of(A, FIRST, ready=ready[0]), *children_of(B, SECOND, ready=ready[1]))
    assert stable_of(observed(digits("b", status=STATED), *running, stable_service_of(B, SECOND))) == FIRST.name


SERVICE_OF_B = stable_service_of(B, SECOND)
SERVICE_OF_GATEWAY = stable_service_of(B, SECOND, gateway=True)


@pytest.mark.parametrize(
    ("service", "wanted", "stable"),
    [
        pytest.param(SERVICE_OF_B, 1, SECOND, id="users stay with those who answer"),
        pytest.param(SERVICE_OF_B, 0, FIRST, id="no pods are wanted of it"),
        pytest.param(SERVICE_OF_GATEWAY, 1, FIRST, id="gateways follow status, not the Service"),
    ],
)
@pytest.mark.parametrize("target", ["a", "b", "c"])
def test_a_promotion_that_was_cut_off_before_the_service_moved_and_lost_its_pods_is_taken_back(
    service: Service, wanted: int, stable: Revision, target: str
) -> None:
    running = (*children_of(A, FIRST, replicas=wanted, ready=0), *children_of(B, SECOND))
    assert stable_of(observed(digits(target, status=STATED), *running, service)) == stable.name


@pytest.mark.parametrize(("ready", "stable"), [(1, SECOND.name), (0, FIRST.name)])
def test_an_old_status_that_names_what_no_longer_runs_does_not_move_the_users_there(ready: int, stable: str) -> None:
    owner = digits("c", status=STATED)
    world = observed(owner, FIRST, *children_of(B, SECOND, ready=ready), stable_service_of(B, SECOND))
    assert stable_of(world) == stable


def test_a_stable_revision_that_was_deleted_serves_nobody() -> None:
    assert stable_of(observed(digits("b", status=STATED), *children_of(B, SECOND))) is None


@pytest.mark.parametrize("ready", [0, 1])
def test_without_status_the_service_says_it_if_somebody_answers(ready: int) -> None:
    world = observed(B, *children_of(A, FIRST, ready=ready), SECOND, stable_service_of(A, FIRST))
    assert stable_of(world, SECOND.name) == (FIRST.name if ready else None)


def test_the_target_becomes_stable_by_promotion_only() -> None:
    world = observed(A, *children_of(A, FIRST, replicas=3, ready=1), stable_service_of(A, FIRST))
    assert stable_of(world, FIRST.name) is None


RETIRED = ago(seconds=10)
RETIREMENTS = [
    ("the Service still selects it", True, 1, None, NOW),
    ("the Service still selects it although it is marked", True, 1, RETIRED, NOW),
    ("the Service selects it and nobody answers", True, 0, None, None),
    ("marked", False, 1, RETIRED, RETIRED),
    ("marked, its pods are gone", False, 0, RETIRED, RETIRED),
    ("marked in the future: the clock was set back", False, 1, NOW + timedelta(hours=1), NOW),
    ("ready without a mark: the mark may be what has not been heard yet", False, 1, None, NOW),
    ("never ready", False, 0, None, None),
]


@pytest.mark.parametrize(
    ("selected", "ready", "marked", "since"), [row[1:] for row in RETIREMENTS], ids=[row[0] for row in RETIREMENTS]
)
def test_retirement(*, selected: bool, ready: int, marked: datetime | None, since: datetime | None) -> None:
    deployment = deployment_of(A, FIRST, ready=ready, retired_at=marked)
    service = stable_service_of(A, FIRST if selected else SECOND)
    assert retirement(deployment, service, NOW) == since


def test_a_drain_ends_to_the_second() -> None:
    drain = timedelta(seconds=30)
    assert expired(None, drain, NOW)
    assert expired(ago(seconds=30), drain, NOW)
    assert not expired(ago(seconds=29.999), drain, NOW)


def test_the_oldest_unused_revisions_go_beyond_the_limit() -> None:
    revisions = {r.name: r for r in (THIRD, FIRST, REFRESHED, SECOND)}
    gone = [r.number for r in beyond_history(revisions, [FIRST.name], limit=1)]
    assert gone == [2, 3]
    assert beyond_history(revisions, [FIRST.name], limit=3) == []


def test_a_revision_that_is_going_already_is_not_deleted_again() -> None:
    revisions = {SECOND.name: replace(SECOND, deleting=True), THIRD.name: THIRD}
    assert beyond_history(revisions, [], limit=1) == []
