"""Every reason that the code can give, read from its syntax tree: first words of outcomes, diagnoses and situations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("core", "controller", "fetch")
"""Packages whose reasons reach a user's conditions and Events."""

_CAMEL_CASE = re.compile(r"([A-Z][a-z]+)+")
_OUTCOMES = {"Invalid", "NotYet", "Diagnosis", "Announcement", "Waiting", "scaling", "preparing", "cannot_start"}
"""Callables whose first (an announcement's second) argument is a reason."""


def reasons_used(package: Path) -> dict[str, str]:
    """Returns each reason with the file that gives it, relative to `package` (the folder `plimsoll`)."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        for path in sorted((package / name).rglob("*.py")):
            for reason in _reasons_in(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(reason, path.relative_to(package).as_posix())
    return found


def _reasons_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if _called(node) in _OUTCOMES:
                position = 1 if _called(node) == "Announcement" else 0
                yield from (text for argument in node.args[position : position + 1] for text in _constants(argument))
            yield from (text for word in node.keywords if word.arg == "reason" for text in _constants(word.value))
        if isinstance(node, ast.Tuple) and _is_condition_fact(node):
            yield from (text for element in node.elts for text in _constants(element))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_condition_fact(node: ast.Tuple) -> bool:
    """The rows of `conditions_of` begin with a condition type."""
    return bool(node.elts) and ast.unparse(node.elts[0]).startswith("ConditionType.")


def _constants(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and _CAMEL_CASE.fullmatch(part.value):
            yield part.value
