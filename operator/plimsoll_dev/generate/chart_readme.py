"""The table of values in the chart's README, from values.yaml and the comments in it."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from typing import Any

import yaml

_BEGIN, _END = "<!-- values: begin -->\n", "<!-- values: end -->\n"
_KEY = re.compile(r"^( *)([A-Za-z]+):")
_COMMENT = re.compile(r"^ *# (.*)$")
_MARK = "-- "
_INDENT = 2


def chart_readme(readme: str, values: str) -> str:
    """Returns `readme` with the table of `values`, the text of values.yaml, between its two marks."""
    before, rest = readme.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}{_table(values)}{_END}{after}"


def descriptions(values: str) -> dict[str, str]:
    """Returns the `# --` comment above each key of values.yaml, by the key's path (`a.b`)."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in values.splitlines():
        if key := _KEY.match(line):
            path[len(key[1]) // _INDENT :] = [key[2]]
            if comment and comment[0].startswith(_MARK):
                found[".".join(path)] = " ".join(comment).removeprefix(_MARK)
            comment = []
        elif said := _COMMENT.match(line):
            comment.append(said[1])
        else:
            comment = []
    return found


def leaves(node: dict[str, Any], stop: Container[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields paths and defaults, down to the paths in `stop` or to what is not a map."""
    for key, value in node.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and path not in stop:
            yield from leaves(value, stop, f"{path}.")
        else:
            yield path, value


def _table(values: str) -> str:
    described = descriptions(values)
    rows = [
        f"| `{path}` | `{json.dumps(default)}` | {described[path]} |"
        for path, default in leaves(yaml.safe_load(values), described)
    ]
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"
