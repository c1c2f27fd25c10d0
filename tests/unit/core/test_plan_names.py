"""Names that are taken: nothing foreign is adopted, changed or deleted."""

from dataclasses import replace

import pytest
from tests.support.builders import (
    NOW,
    STRANGER_UID,
    children_of,
    deployment_of,
    digits,
    job_of,
    observed,
    revision_of,
    revision_service_of,
    stable_service_of,
    with_status,
)

from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.actions import ChildKind, Delete, Plan, WriteStatus
from plimsoll.core.plan import plan
from plimsoll.core.world import Child

A, B = digits("a"), digits("b")
FIRST, SECOND = revision_of(A, 1), revision_of(B, 2)
THIRD = revision_of(digits("c"), 3)
STABLE = with_status(A, ModelDeploymentStatus(observed_generation=1, stable=FIRST.name))
SERVING_A = (*children_of(A, FIRST), stable_service_of(A, FIRST))

STRANGERS = [
    pytest.param(replace(stable_service_of(A, FIRST), owner_uid=""), "Service digits", id="Service"),
    pytest.param(replace(revision_service_of(A, FIRST), owner_uid=""), f"Service {FIRST.name}", id="headless Service"),
    pytest.param(replace(deployment_of(A, FIRST), owner_uid=""), f"Deployment {FIRST.name}", id="Deployment"),
    pytest.param(replace(FIRST, owner_uid=""), f"ControllerRevision {FIRST.name}", id="ControllerRevision"),
]


@pytest.mark.parametrize(("stranger", "named"), STRANGERS)
def test_nothing_foreign_is_adopted(stranger: Child, named: str) -> None:
    decided = plan(observed(A, stranger), NOW)
    (write,) = decided.actions
    assert isinstance(write, WriteStatus)
    assert write.why.startswith(f"{named} exists and belongs to something else; it is left alone")
    assert [announcement.reason for announcement in decided.announcements] == ["NameConflict"]


def test_a_refused_spec_ends_the_preflight_of_the_one_before() -> None:
    """What it would say is asked no more, and the Job would run to its deadline."""
    stranger = replace(revision_service_of(B, SECOND), owner_uid="")
    decided = plan(observed(with_status(B, STABLE.status), *SERVING_A, stranger, job_of(THIRD, "key")), NOW)
    deleted, write = decided.actions
    assert isinstance(deleted, Delete)
    assert (deleted.kind, deleted.name) == (ChildKind.JOB, f"{THIRD.name}-preflight")
    assert isinstance(write, WriteStatus)


def test_children_of_a_deleted_predecessor_are_awaited() -> None:
    predecessors = [replace(part, owner_uid=STRANGER_UID) for part in SERVING_A]
    (write,) = plan(observed(A, *predecessors), NOW).actions
    assert isinstance(write, WriteStatus)
    assert "deleted ModelDeployment of the same name" in write.why


def test_what_carries_our_labels_and_is_not_ours_is_not_touched() -> None:
    """Under other names: a copy made by a person, or another ModelDeployment's."""
    status = next(a.status for a in plan(observed(STABLE, *SERVING_A), NOW).actions if isinstance(a, WriteStatus))
    strangers = [replace(part, owner_uid="") for part in (*children_of(B, SECOND), THIRD)]
    assert plan(observed(with_status(A, status), *SERVING_A, *strangers), NOW) == Plan()
