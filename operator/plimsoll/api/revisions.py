"""Says at every field of spec whether a change makes a new revision.

People meet a field by itself, in `kubectl explain` or in an editor, far from the one around it that says so. A field
that does not say is as the one around it; one around fields that differ sends the reader to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any


class MakesRevision(StrEnum):
    """Whether a change of a field makes a new revision, in the words of its description."""

    YES = "yes"
    NO = "no"
    BY_FIELD = "yes, unless a field below says no"


_SAID = re.compile(rf"Makes a new revision: ({'|'.join(MakesRevision)})\.")


def said_by(description: str) -> MakesRevision | None:
    """Returns what a description says about revisions, None when it does not."""
    said = _SAID.search(description)
    return MakesRevision(said[1]) if said else None


def without_sentence(description: str) -> str:
    """Returns a description without what it says about revisions."""
    return _SAID.sub("", description).strip()


def say_revisions(node: dict[str, Any], path: str, around: MakesRevision | None = None) -> MakesRevision:
    """Completes the description of the field `node`, in place, and of every field below it.

    Args:
        node: Structural schema.
        path: Where it stands, for errors.
        around: What the field around it says; None when that depends on this one.

    Returns:
        What it says.

    Raises:
        ValueError: nothing at or above a field says, or a field says otherwise than the one around it.
    """
    description = node.get("description", "")
    answer = said_by(description) or around
    below = {say_revisions(child, f"{path}.{name}", answer) for name, child in _fields_below(node)}
    if answer is None:
        if not below:
            raise ValueError(f"{path} does not say whether it makes a new revision")
        answer = below.pop() if len(below) == 1 else MakesRevision.BY_FIELD
    elif below - {answer}:
        raise ValueError(f"{path} says that it makes a new revision: {answer}; a field below it says otherwise")
    if said_by(description) is None:
        node["description"] = f"{description} Makes a new revision: {answer}.".strip()
    return answer


def _fields_below(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The named fields of an object, or of the items of a list or map."""
    while "items" in node or isinstance(node.get("additionalProperties"), dict):
        node = node.get("items") or node["additionalProperties"]
    yield from node.get("properties", {}).items()
