"""Numbers and names in sentences."""

import pytest

from plimsoll.core.preflight.naming import counted, figure, listed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00123, "0.00123"), (12.345, "12.3"), (999.9, "1,000"), (56_640.0, "56,600"), (1e6, "1,000,000")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a"], "a"),
        (["a", "b"], "a, b"),
        ([str(number) for number in range(9)], "0, 1, 2, 3, 4, 5, 6, 7, 1 more"),
        (["ü" * 64], "ü" * 64),
        (["ü" * 65], "ü" * 64 + "…"),
    ],
)
def test_many_or_long_names_are_cut(names: list[str], text: str) -> None:
    assert listed(names) == text


def test_one_is_singular() -> None:
    assert [counted(number, "input") for number in (0, 1, 2)] == ["0 inputs", "1 input", "2 inputs"]
