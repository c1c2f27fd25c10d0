"""What the digit images are, and their pictures as text."""

from collections.abc import Sequence

SIDE = 8
INK_MAX = 16
CLASSES = 10
SHADES = " ░▒▓█"


def draw(image: Sequence[float]) -> list[str]:
    """Eight lines of sixteen characters: each pixel, with a value from 0 to 16, is two cells of one of five shades."""
    rows = (image[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE))
    return ["".join(_shade(pixel) * 2 for pixel in row) for row in rows]


def _shade(pixel: float) -> str:
    steps = len(SHADES) - 1
    return SHADES[max(0, min(steps, round(pixel * steps / INK_MAX)))]
