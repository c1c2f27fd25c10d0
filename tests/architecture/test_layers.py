"""Who may import whom: the contracts stand in pyproject.toml, and are held here."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.repository import OPERATOR, PACKAGE, ROOT, name_of, python_files, tree_of

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def test_the_import_contracts_are_kept() -> None:
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(OPERATOR), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_product_does_not_know_the_workshop_or_the_tests() -> None:
    strangers = {"plimsoll_dev", "tests", "pytest", "onnx", "onnxruntime"}
    found = {name_of(path) for path in python_files(PACKAGE) if strangers & {m.split(".")[0] for m in imported(path)}}
    assert found == set()


def test_nobody_reaches_into_private_parts_of_kopf() -> None:
    found = {name_of(path) for path in python_files(PACKAGE) if any(m.startswith("kopf._") for m in imported(path))}
    assert found == set()


def test_nothing_in_core_is_asynchronous_or_looks_at_the_clock() -> None:
    forbidden = {"now", "utcnow", "today", "monotonic", "getenv", "urandom", "uuid4"}
    found = [
        f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        for path in (*python_files(PACKAGE / "core"), *python_files(PACKAGE / "api"))
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in forbidden)
    ]
    assert found == []


def test_only_the_command_line_and_the_entry_points_print() -> None:
    allowed = ("operator/plimsoll/cli/",)
    found = {
        name_of(path)
        for path in python_files(PACKAGE)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert {name for name in found if not name.startswith(allowed)} == set()
