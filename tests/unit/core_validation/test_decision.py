"""`requests.onInvalid`: what becomes of a request."""

from math import nan

from tests.support.inference import asking, taking, tensor

from plimsoll.api.requests_validation import OnInvalid
from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.decision import decided
from plimsoll.core.validation.schema import Check, Checks

FP32, INT64 = DataType.FP32, DataType.INT64
SCHEMA = taking({"age": (INT64, (-1, 1)), "x": (FP32, (-1, 2))}, max_batch_size=8)
CHECKS = Checks({"x": Check(default="0")})
RIGHT = asking(tensor("age", INT64, (1, 1), 30), tensor("x", FP32, (1, 2)))
WITHOUT_X = asking(tensor("age", INT64, (1, 1), 30))
WITHOUT_BOTH = asking()


def test_a_right_request_is_sent_as_it_came_and_nothing_is_said() -> None:
    for action in OnInvalid:
        decision = decided(action, RIGHT, SCHEMA, CHECKS, {})
        assert decision.request is RIGHT
        assert (decision.refusal, decision.header, decision.filled) == ("", "", ())


def test_reject_says_why() -> None:
    decision = decided(OnInvalid.REJECT, WITHOUT_X, SCHEMA, CHECKS, {})
    assert decision.refusal == "Input 'x' is missing; send it as FP32 [-1, 2]."


def test_impute_fills_in_and_sends() -> None:
    decision = decided(OnInvalid.IMPUTE, WITHOUT_X, SCHEMA, CHECKS, {})
    assert (decision.refusal, decision.filled) == ("", ("x",))
    assert decision.request.inputs[-1] == tensor("x", FP32, (1, 2), 0, 0)


def test_impute_refuses_what_is_still_wrong() -> None:
    decision = decided(OnInvalid.IMPUTE, WITHOUT_BOTH, SCHEMA, CHECKS, {})
    assert decision.refusal == "Input 'age' is missing; send it as INT64 [-1, 1]."


def test_flag_sends_and_says() -> None:
    request = asking(tensor("x", FP32, (1, 2), nan, 1), tensor("a, b=c", FP32, (1,)))
    decision = decided(OnInvalid.FLAG, request, SCHEMA, CHECKS, {})
    assert (decision.request is request, decision.refusal) == (True, "")
    assert decision.header == "age=Missing, x=NotFinite, a%2C%20b%3Dc=Unknown"


def test_a_header_is_bounded_and_ascii() -> None:
    request = asking(*(tensor(f"ä{n}\r\n" + "y" * 5000, FP32, (1,)) for n in range(50)))
    header = decided(OnInvalid.FLAG, request, SCHEMA, CHECKS, {}).header
    assert header.isascii()
    assert header.isprintable()
    assert len(header) < 1000


def test_flag_refuses_nulls_for_which_there_are_no_bytes() -> None:
    decision = decided(OnInvalid.FLAG, RIGHT, SCHEMA, CHECKS, {"age": [0]})
    assert decision.refusal == "Element [0, 0] of input 'age' is null; send a value."


def test_many_problems_are_told_in_part() -> None:
    schema = taking({f"i{n}": (FP32, (1,)) for n in range(20)})
    assert decided(OnInvalid.REJECT, asking(), schema, Checks(), {}).refusal.endswith(" There may be more.")
