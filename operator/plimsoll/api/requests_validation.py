"""What `spec.requests` says about the values that clients send and models give.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from plimsoll.api.base import ApiModel, Rule, list_map
from plimsoll.api.quantity import value_of

MAX_CHECKED_INPUTS = 64
_MOST_NUMBER = 10**15 - 1
BOUND_PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"


def _number_to_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Bound = Annotated[
    str,
    Field(
        pattern=BOUND_PATTERN,
        max_length=26,
        # A number passes the pattern unseen, and a longer one could not be read back.
        json_schema_extra={"x-kubernetes-int-or-string": True, "minimum": -_MOST_NUMBER, "maximum": _MOST_NUMBER},
    ),
    BeforeValidator(_number_to_text),
]
"""A decimal number, such as `-1.5` or `120`. Not a quantity: comparing two of these in 64 inputs costs Kubernetes 1.33
four times what a rule may."""


def signed_value(text: str) -> Fraction:
    """Returns the value of a `Bound`.

    Raises:
        ValueError: `text` is none.
    """
    return -value_of(text[1:]) if text.startswith("-") else value_of(text)


class OnInvalid(StrEnum):
    """What becomes of a request that the model's interface, or a declared range, does not allow."""

    REJECT = "Reject"
    IMPUTE = "Impute"
    FLAG = "Flag"


class OnInvalidOutput(StrEnum):
    """What becomes of an answer that is none."""

    FAIL = "Fail"
    FLAG = "Flag"


class NotFinite(StrEnum):
    """Whether NaN and infinity are values."""

    REFUSE = "Refuse"
    ALLOW = "Allow"


class InputCheck(ApiModel):
    """What is right for one input beyond its type and shape."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)",
            message="requests.inputs: min is at most max",
            holds=lambda one: one.min is None or one.max is None or float(one.min) <= float(one.max),
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=256)]
    """Name of the input. Makes a new revision: no."""
    min: Bound | None = None
    """Least value of an element, for example "-1.5". Inputs of numbers only. Makes a new revision: no."""
    max: Bound | None = None
    """Greatest value of an element, for example "120". Inputs of numbers only. Makes a new revision: no."""
    default: Annotated[str, Field(max_length=256)] | None = None
    """With onInvalid Impute: stands in for an input that is missing, and for elements that are null or NaN. A number,
    "true" or "false", or for BYTES any text. Makes a new revision: no."""
    not_finite: NotFinite = NotFinite.REFUSE
    """Whether NaN and infinity are values, as they are for models that read NaN as missing: Refuse or Allow. Default
    Refuse. Makes a new revision: no."""


class InputChecks(ApiModel):
    """The part of `spec.requests` that is about values."""

    on_invalid: OnInvalid | None = None
    """Checks requests against the interface that the preflight found and the ranges below. Reject answers 400 with the
    input and the position; Impute fills in declared defaults and rejects what is still wrong; Flag lets pass and says
    it in x-plimsoll-invalid. Absent: the model server judges. Makes a new revision: no."""
    on_invalid_output: OnInvalidOutput = OnInvalidOutput.FAIL
    """Answers with NaN, infinity, no data, missing outputs or a wrong shape: Fail counts them as failures and answers
    502; Flag lets pass and says it in x-plimsoll-invalid. Default Fail. Makes a new revision: no."""
    inputs: Annotated[
        list[InputCheck] | None, Field(min_length=1, max_length=MAX_CHECKED_INPUTS, json_schema_extra=list_map("name"))
    ] = None
    """Ranges and defaults, by input; used with onInvalid. Makes a new revision: no."""
