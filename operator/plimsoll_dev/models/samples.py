"""Handwritten digits to send to a model.

The samples come from test rows, which no model was trained on; `build` writes them, reading needs nothing but JSON.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from plimsoll_dev.models.catalogue import SAMPLES_FILE
from plimsoll_dev.models.images import SIDE


@dataclass(frozen=True, slots=True)
class Sample:
    """One image: 64 pixels row by row with values 0 to 16, the digit it shows, and its row in scikit-learn's table."""

    image: tuple[int, ...]
    label: int
    row: int


def samples() -> tuple[Sample, ...]:
    """Two images of each digit, ordered 0 to 9 and again 0 to 9."""
    return tuple(
        Sample(tuple(entry["image"]), entry["label"], entry["row"])
        for entry in json.loads(SAMPLES_FILE.read_text())["samples"]
    )


def infer_request(image: Sequence[float]) -> dict[str, object]:
    """The body of an Open Inference Protocol request for one image."""
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, SIDE * SIDE], "data": [float(v) for v in image]}
    return {"inputs": [tensor]}
