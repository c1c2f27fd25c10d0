"""`spec.requests.confidence`: what becomes of answers of which the model itself is not sure.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import ApiModel, Rule

_NOTHING = r"^[0.]+$"


class OnLow(StrEnum):
    """What becomes of an answer whose confidence is below the threshold."""

    ABSTAIN = "Abstain"
    FALLBACK = "Fallback"
    FLAG = "Flag"


class Confidence(ApiModel):
    """From which confidence on an answer is given as the model's.

    The confidence of an answer is the smallest over the rows of its batch of the largest element of `output` along its
    last axis; where a row is a single number, that number.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!self.threshold.matches('{_NOTHING}')",
            message="requests.confidence.threshold: more than 0; to have no threshold, remove confidence",
            holds=lambda confidence: re.search(_NOTHING, confidence.threshold) is None,
            path=".threshold",
        ),
    )

    output: Annotated[str, Field(min_length=1, max_length=256)]
    """Output of floating-point numbers that states the confidence: one probability for each class, or one number for
    each row. Makes a new revision: no."""
    threshold: Annotated[str, Field(pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$", max_length=8)]
    """An answer is low where its confidence is below this: a decimal number from 0 to 1 in quotes, for example "0.8".
    Its confidence is the largest element of output along its last axis, and of a batch the smallest of these over all
    rows. Makes a new revision: no."""
    on_low: OnLow = OnLow.FLAG
    """What becomes of a low answer. Flag: it passes and says x-plimsoll-confidence: low; Abstain: a success without
    outputs, whose parameter abstained is true; Fallback: the model in spec.fallback answers, and where it cannot at
    once: as Flag. Streams and generate are not judged. Default Flag. Makes a new revision: no."""
