"""Recorded cases are kept while they hold and replaced when they do not."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from plimsoll_dev.models import golden


def content(probability: float = 0.25, label: int = 3) -> dict[str, Any]:
    return {
        "cases": [
            {
                "inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}],
                "outputs": [
                    {"name": "label", "datatype": "INT64", "shape": [1, 1], "data": [label]},
                    {"name": "probabilities", "datatype": "FP32", "shape": [1, 1], "data": [probability]},
                ],
            }
        ]
    }


def renamed() -> dict[str, Any]:
    changed = copy.deepcopy(content())
    changed["cases"][0]["outputs"][0]["name"] = "digit"
    return changed


@pytest.mark.parametrize(
    ("repeated", "holds"),
    [
        (content(), True),
        (content(probability=0.25 + 5e-6), True),
        (content(probability=0.25 + 5e-5), False),
        (content(label=4), False),
        (renamed(), False),
        ({"cases": []}, False),
    ],
    ids=["equal", "last bits differ", "probability differs", "label differs", "name differs", "cases are missing"],
)
def test_recorded_cases_are_rewritten_only_when_they_no_longer_hold(
    tmp_path: Path,
    repeated: dict[str, Any],
    holds: bool,  # noqa: FBT001 - a table's column
):
    file = tmp_path / "golden.json"
    golden.write(file, content())
    before = file.read_bytes()
    golden.write(file, repeated)
    assert (file.read_bytes() == before) is holds
    assert golden.matches(json.loads(file.read_text()), repeated)
