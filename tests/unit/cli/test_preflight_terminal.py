"""The report in the terminal."""

import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from rich.console import Console
from tests.support.preflight_reports import SAMPLES, good, hostile, partial, rejected

from plimsoll.api.preflight_report import PreflightReport
from plimsoll.cli.preflight_views.page import page
from plimsoll.cli.preflight_views.terminal import print_report


def shown(report: PreflightReport, width: int = 80, encoding: str = "utf-8", **options: Any) -> str:
    output = io.BytesIO()
    file = io.TextIOWrapper(output, encoding=encoding)
    print_report(report, Console(file=file, width=width, highlight=False, **options))
    file.flush()
    text = output.getvalue().decode(encoding)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize("name", SAMPLES)
def test_at_80_columns_without_colours(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"preflight/{name}.txt", shown(SAMPLES[name]()))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert max(len(line) for line in shown(SAMPLES[name](), width).splitlines()) <= width


@pytest.mark.parametrize("name", SAMPLES)
def test_a_terminal_that_knows_only_ascii_gets_only_that(name: str) -> None:
    assert shown(SAMPLES[name](), encoding="ascii").isascii()


def test_colours_are_left_out_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in shown(rejected())
    assert "\x1b[1;31mRejected" in shown(rejected(), force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in shown(rejected(), force_terminal=True)


def test_nothing_foreign_commands_the_terminal() -> None:
    text = shown(hostile())
    assert text.replace("\n", "").isprintable()
    assert "[red]" in text  # shown, not obeyed


def test_what_is_predicted_is_told_apart_from_what_was_measured() -> None:
    text = shown(good())
    assert text.count("✓ measured") == 1
    assert text.count("~ predicted") == 4


def test_unknown_figures_are_dashes_and_never_zeros() -> None:
    lines = shown(partial()).splitlines()
    assert lines[lines.index("Latency by batch size in ms") + 3].split() == [
        "1",
        "12",
        *["\N{EN DASH}"] * 5,
        "417",
        "2.40",
    ]


def blanked(model: BaseModel) -> Iterator[BaseModel]:
    """Copies of a model, each with one field that may be unknown, or may be empty, or a number, taken away."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from (model.model_copy(update={name: child}) for child in blanked(value))
        if isinstance(value, list):
            yield model.model_copy(update={name: []})
            for index, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from (
                        model.model_copy(update={name: [*value[:index], child, *value[index + 1 :]]})
                        for child in blanked(item)
                    )
        if "None" in str(field.annotation):
            yield model.model_copy(update={name: None})
        if isinstance(value, float):
            yield from (model.model_copy(update={name: odd}) for odd in (0.0, -1.0, float("nan"), float("inf")))


@pytest.mark.parametrize("make", [good, rejected])
def test_no_missing_or_odd_figure_stops_a_view(make: Callable[[], PreflightReport]) -> None:
    # One in 17 of two thousand: rows of a table repeat the same kinds of figures.
    for report in itertools.islice(blanked(make()), 0, None, 17):
        assert isinstance(report, PreflightReport)
        assert shown(report).startswith("Preflight of digits")
        assert page(report).endswith("</html>\n")
