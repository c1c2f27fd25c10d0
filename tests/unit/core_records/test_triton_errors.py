"""Whose fault an error of Triton is, by its sentence. That Triton still says so is in contract/gateway."""

import pytest

from plimsoll.core.records.triton_errors import is_clients_fault, is_overload

OVERLOAD = ["Exceeds maximum queue size", "[request id: 7] Exceeds maximum queue size", "Request timeout expired"]
NOT_UNDERSTOOD = [
    "failed to parse the request JSON buffer: Missing a name for object member. at 1",
    "Unable to parse 'data': Shape does not match true shape of 'data' field",
    "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'",
    "Unable to set 'classification': attempt to access JSON non-unsigned-integer as unsigned-integer",
    "failed to get request params.: attempt to get members for non-object",
    "attempt to get members for non-object",
    "Unable to parse request",
]
OTHERS = [
    "",
    "in ensemble 'digits', Unable to parse 'data'",
    "Failed to process the request(s) for model 'digits_0', message: ValueError: Unable to parse 'age'",
    "Unable to parse request of the user",
    "[request id: Exceeds maximum queue size] CUDA out of memory",
    "Exceeds maximum queue size: 7 of 8 workers died",
]


@pytest.mark.parametrize("message", OVERLOAD)
def test_a_full_queue_and_a_wait_in_it_are_overload(message: str) -> None:
    assert (is_overload(message), is_clients_fault(message)) == (True, False)


@pytest.mark.parametrize("message", NOT_UNDERSTOOD)
def test_what_could_not_be_read_is_the_clients_fault(message: str) -> None:
    assert (is_overload(message), is_clients_fault(message)) == (False, True)


@pytest.mark.parametrize("message", OTHERS)
def test_the_same_words_elsewhere_excuse_nothing(message: str) -> None:
    assert (is_overload(message), is_clients_fault(message)) == (False, False)
