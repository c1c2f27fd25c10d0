"""`spec.requests`, the part about values: what is admitted and what is refused."""

from fractions import Fraction

import pytest
from pydantic import ValidationError

from plimsoll.api.base import broken_rules
from plimsoll.api.requests_validation import InputChecks, OnInvalid, OnInvalidOutput, signed_value


def checks(**of_age: object) -> InputChecks:
    return InputChecks.model_validate({"onInvalid": "Reject", "inputs": [{"name": "age", **of_age}]})


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-1", -1), ("120", 120), ("1.5", Fraction(3, 2)), ("-0.5", Fraction(-1, 2))],
)
def test_a_bound_has_a_sign(text: str, value: Fraction) -> None:
    assert signed_value(text) == value
    assert checks(min=text).inputs


def test_a_whole_number_need_not_be_text() -> None:
    (check,) = checks(min=-5, max=5).inputs or ()
    assert (check.min, check.max) == ("-5", "5")


@pytest.mark.parametrize("text", ["", "+1", "--1", "1e5", "NaN", "inf", "1.", ".5", "5%", 1.5, True])
def test_what_is_no_bound(text: object) -> None:
    with pytest.raises(ValidationError):
        checks(min=text)


@pytest.mark.parametrize(
    ("least", "most", "is_right"),
    [("1", "2", True), ("1", "1", True), ("1", "1.0", True), ("2", "1", False), ("-1", "-2", False), ("-2", 0, True)],
)
def test_the_least_is_not_above_the_most(least: str, most: str, *, is_right: bool) -> None:
    broken = [rule.message for _, rule in broken_rules(checks(min=least, max=most))]
    assert broken == ([] if is_right else ["requests.inputs: min is at most max"])


def test_nothing_is_checked_unless_asked_for_and_invalid_answers_are_failures() -> None:
    default = InputChecks()
    assert (default.on_invalid, default.on_invalid_output) == (None, OnInvalidOutput.FAIL)
    assert checks().on_invalid is OnInvalid.REJECT
