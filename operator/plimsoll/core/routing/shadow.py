"""Of how many requests a copy goes to the candidate."""

from __future__ import annotations

from fractions import Fraction

from plimsoll.api.rollout import Rollout
from plimsoll.api.routing import WHOLE


def shadow_permille(rollout: Rollout | None) -> int | None:
    """Returns the share that `spec.rollout` states in parts per thousand, rounded down; None where it states none.

    Which requests these are, `split.Split` decides with a key of its own: in each block of 1,000 that could be copied a
    keyed random permutation, so the share is exact and has no period that a client's could meet.
    """
    if rollout is None or rollout.shadow is None:
        return None
    return int(Fraction(rollout.shadow.removesuffix("%")) / 100 * WHOLE)
