"""scikit-learn's bundled handwritten digits: 1,797 images of 8x8 pixels with values 0 to 16, and the split used here.

The rows are ordered by writer, so the split interleaves: of each five consecutive rows the second and the fourth are
test rows. Both halves see every writer. A split by writer would measure something else (and about 4 points less).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from plimsoll_dev.models.exact import Array


@dataclass(frozen=True, slots=True)
class Rows:
    """Images [N, 64] with values 0 to 16, their digits [N], and their row numbers in scikit-learn's table."""

    images: Array
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]


def training_rows() -> Rows:
    """The 1,078 rows models are trained and calibrated on."""
    return _rows(test=False)


def test_rows() -> Rows:
    """The 719 rows every stated accuracy, golden case and sample comes from."""
    return _rows(test=True)


def _rows(*, test: bool) -> Rows:
    images, labels = load_digits(return_X_y=True)
    numbers = np.arange(len(labels), dtype=np.int64)
    chosen = np.isin(numbers % 5, (1, 3)) == test
    return Rows(images[chosen].astype(np.float64), labels[chosen].astype(np.int64), numbers[chosen])
