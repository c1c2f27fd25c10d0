"""`spec.rollout`: how a new revision takes over from the one that serves.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from plimsoll.api.base import ApiModel, Rule
from plimsoll.api.preflight import Percent

_TOO_LITTLE: Final = "^0+([.]0[0-9]*)?%$"
"""Less than 0.1%, which is one of the thousand requests of a block."""


class Rollout(ApiModel):
    """How a new revision takes over."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!has(self.shadow) || !self.shadow.matches('{_TOO_LITTLE}')",
            message="rollout.shadow: at least 0.1%; to copy nothing, remove it",
            holds=lambda rollout: rollout.shadow is None or re.search(_TOO_LITTLE, rollout.shadow) is None,
            path=".shadow",
        ),
    )

    shadow: Percent | None = None
    """Largest share of the requests to the revision that serves of which a copy goes to the candidate, too, once that
    has passed its preflight. Users never get its answers nor wait for them; they are compared. Streams and sequences
    are not copied. Without it nothing is. Makes a new revision: no."""
