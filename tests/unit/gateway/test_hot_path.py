"""Which modules are compiled, and what is said about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from plimsoll.gateway import hot_path
from plimsoll.gateway.hot_path import MODULES, Form, form

PACKAGE = Path(hot_path.__file__).parents[1]


def test_it_is_in_the_form_that_this_run_is_about() -> None:
    """`make check-compiled` sets the variable."""
    assert form() == os.environ.get("PLIMSOLL_HOT_PATH", Form.INTERPRETED)


def test_the_list_names_modules_that_exist_each_once_in_order() -> None:
    assert list(MODULES) == sorted(set(MODULES))
    files = [PACKAGE.parent / f"{module.replace('.', '/')}.py" for module in MODULES]
    assert [file for file in files if not file.is_file()] == []


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (("compiled_one", "compiled_two"), Form.COMPILED),
        (("compiled_one", "interpreted_one"), Form.MIXED),
        (("interpreted_one",), Form.INTERPRETED),
        (("compiled_one", "missing"), Form.MIXED),
    ],
)
def test_the_form(modules: tuple[str, ...], expected: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compiled_one.abi3.so", "compiled_one.py", "compiled_two.abi3.so", "interpreted_one.py"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert form(modules) is expected
