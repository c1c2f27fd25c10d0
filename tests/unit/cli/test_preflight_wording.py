"""How figures and foreign text are written."""

import pytest
from tests.support.preflight_reports import HOSTILE

from plimsoll.cli.preflight_views import wording

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
INFINITE, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, DASH),
        (NAN, DASH),
        (INFINITE, DASH),
        (0.0, "0"),
        (0.00002, "2.0e-05"),
        (0.00123, "0.0012"),
        (0.0312, "0.0312"),
        (0.7, "0.700"),
        (0.99951, "1.00"),
        (2.4, "2.40"),
        (9.996, "10.0"),
        (61.72, "61.7"),
        (99.96, "100"),
        (14_820.4, "14,820"),
        (-5.1, f"{MINUS}5.10"),
    ],
)
def test_numbers_have_three_digits(value: float | None, written: str) -> None:
    assert wording.number(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, DASH), (NAN, DASH), (0.0, "0.0 %"), (0.0014, "0.14 %"), (0.99, "99.0 %"), (-0.5, f"{MINUS}50.0 %")],
)
def test_shares_are_percentages(value: float | None, written: str) -> None:
    assert wording.share(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, DASH),
        (0.6, "0.600 B"),
        (1027, "1.00 KiB"),
        (-2048, f"{MINUS}2.00 KiB"),
        (182_452_224, "174 MiB"),
        (2**60, "1,048,576 TiB"),
    ],
)
def test_sizes_have_binary_units(value: float | None, written: str) -> None:
    assert wording.size(value) == written


@pytest.mark.parametrize(("quantile", "name"), [(0.5, "p50"), (0.9, "p90"), (0.999, "p99.9"), (0.9999, "p99.99")])
def test_quantiles_are_named_as_percentiles(quantile: float, name: str) -> None:
    assert wording.percentile(quantile) == name


def test_an_interval_with_an_unknown_end_is_unknown() -> None:
    assert wording.between("1", "2") == "1 to 2"
    assert wording.between(DASH, "2") == DASH


def test_an_unknown_figure_has_no_unit() -> None:
    assert wording.milliseconds(None) == DASH
    assert wording.milliseconds(2.4) == "2.40 ms"


def test_foreign_text_is_one_line_of_characters_that_can_be_seen() -> None:
    shown = wording.plain(HOSTILE)
    assert shown.isprintable()
    assert "<script>alert('1')</script>" in shown
    assert shown.count("\N{REPLACEMENT CHARACTER}") == 4  # escape, two of direction, NUL


@pytest.mark.parametrize("text", ["Größe 3 µs", "画像", "a b"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert wording.plain(text) == text
