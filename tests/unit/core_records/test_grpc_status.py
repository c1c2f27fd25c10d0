"""What each gRPC status says about the request that ended with it."""

import pytest

from plimsoll.core.records.grpc_status import Status, may_succeed_elsewhere, outcome_of
from plimsoll.core.records.outcome import Outcome, is_failure

OUTCOMES = {
    Outcome.SUCCEEDED: {Status.OK},
    Outcome.CANCELLED: {Status.CANCELLED},
    Outcome.TIMED_OUT: {Status.DEADLINE_EXCEEDED},
    Outcome.SERVER_FAULT: {Status.UNKNOWN, Status.INTERNAL, Status.UNAVAILABLE, Status.DATA_LOSS},
    Outcome.CLIENT_FAULT: {
        *(Status.INVALID_ARGUMENT, Status.NOT_FOUND, Status.ALREADY_EXISTS, Status.PERMISSION_DENIED),
        *(Status.RESOURCE_EXHAUSTED, Status.FAILED_PRECONDITION, Status.ABORTED, Status.OUT_OF_RANGE),
        *(Status.UNIMPLEMENTED, Status.UNAUTHENTICATED),
    },
}


@pytest.mark.parametrize(
    ("status", "outcome"), [(status, outcome) for outcome, statuses in OUTCOMES.items() for status in statuses]
)
def test_each_status_is_one_class(status: Status, outcome: Outcome) -> None:
    assert outcome_of(status, "text") is outcome


def test_no_status_is_left_out() -> None:
    assert {status for statuses in OUTCOMES.values() for status in statuses} == set(Status)


@pytest.mark.parametrize(
    "message",
    [
        "Exceeds maximum queue size",
        "[request id: <id_unknown>] Exceeds maximum queue size",
        "Request timeout expired",
    ],
)
def test_a_full_queue_is_the_loads_fault_and_not_the_revisions(message: str) -> None:
    outcome = outcome_of(Status.UNAVAILABLE, message)
    assert (outcome, is_failure(outcome)) == (Outcome.SHED, False)


def test_only_unavailable_says_that_a_queue_is_full() -> None:
    assert outcome_of(Status.INTERNAL, "Exceeds maximum queue size") is Outcome.SERVER_FAULT


@pytest.mark.parametrize("status", [None, 17, 99, -1])
def test_a_status_that_grpc_does_not_know_is_the_servers_fault(status: int | None) -> None:
    assert outcome_of(status) is Outcome.SERVER_FAULT


def test_what_a_candidate_fails_with_is_tried_on_stable() -> None:
    tried = {status for status in Status if may_succeed_elsewhere(status)}
    assert tried == {Status.UNAVAILABLE, Status.INTERNAL, Status.UNKNOWN, Status.DATA_LOSS}
    assert may_succeed_elsewhere(None)
