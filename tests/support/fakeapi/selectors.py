"""Label selectors as in a query string."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

Matches: TypeAlias = Callable[[Mapping[str, str]], bool]

_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<gone>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)


def label_selector(text: str) -> Matches:
    """A predicate over labels.

    Raises:
        ValueError: The text is no selector.
    """
    terms: list[Matches] = []
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if not found or found.end() == position:
            raise ValueError(f"unable to parse requirement: {text[position:]!r}")
        terms.append(_term(found))
        position = found.end()
    return lambda labels: all(term(labels) for term in terms)


def _term(found: re.Match[str]) -> Matches:
    if found["absent"]:
        gone = found["gone"]
        return lambda labels: gone not in labels
    key = found["key"]
    if found["set"]:
        values = {value.strip() for value in found["values"].split(",")}
        if found["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found["op"] is None:
        return lambda labels: key in labels
    value = found["value"]
    if found["op"] == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value
