from fractions import Fraction

import pytest

from plimsoll.api.quantity import parse_quantity, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1", 1),
        ("1000m", 1),
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        ("100n", Fraction(1, 10**7)),
        ("7u", Fraction(7, 10**6)),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Gi", 1536 * 2**20),
        ("2048Mi", 2 * 2**30),
        ("1000P", 10**18),
        ("1E", 10**18),
        ("1Ei", 2**60),
    ],
)
def test_value(text: str, value: Fraction | int) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "one", "-1", "1e3", "1 Gi", "1gi", "1KI", ".5", "1.", "1Gi\n", "NaN"])
def test_is_no_quantity(text: str) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(("text", "units"), [("10Gi", 10 * 2**30), ("2000m", 2), ("1500m", 1), ("0.5", 0)])
def test_whole_units_are_rounded_down(text: str, units: int) -> None:
    assert whole(text) == units


def test_whole_units_of_something_else() -> None:
    with pytest.raises(ValueError, match="'much' is not a quantity"):
        whole("much")
