"""Text in a container's environment: the kubelet replaces `$(NAME)` and `$$` there unless it is written otherwise."""

from __future__ import annotations

from typing import Any

from plimsoll.core.hashing import canonical_json


def literal(text: str) -> str:
    """Returns the value of a variable that reaches the process as `text`."""
    return text.replace("$", "$$")


def literal_json(value: Any) -> str:
    """Returns JSON that the kubelet leaves alone: outside of strings JSON has no `$`, inside it may be escaped."""
    return canonical_json(value).replace("$", "\\u0024")
