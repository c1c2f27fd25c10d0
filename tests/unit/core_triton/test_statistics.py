"""When a model last computed, from the statistics of its server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plimsoll.core.triton.statistics import last_inference_s


def of(*versions: Any) -> bytes:
    return json.dumps({"model_stats": list(versions)}).encode()


@pytest.mark.parametrize(
    ("statistics", "seconds"),
    [
        pytest.param(of({"name": "m", "last_inference": 1_700_000_000_500}), 1_700_000_000.5, id="one version"),
        pytest.param(of({"last_inference": 1000}, {"last_inference": 3000}), 3.0, id="the latest of two"),
        pytest.param(of({"last_inference": 0}), 0.0, id="never"),
        pytest.param(of({"name": "m"}), None, id="it does not say"),
        pytest.param(of({"last_inference": 1000}, {"name": "m"}), None, id="one of two does not say"),
        pytest.param(of({"last_inference": True}), None, id="no number"),
        pytest.param(of({"last_inference": -1}), None, id="no time"),
        pytest.param(of("m"), None, id="no statistics of a model"),
        pytest.param(of(), None, id="no model"),
        pytest.param(b'{"error":"unknown model"}', None, id="an error"),
        pytest.param(b"[]", None, id="no object"),
        pytest.param(b"<html>", None, id="no JSON"),
    ],
)
def test_last_inference(statistics: bytes, seconds: float | None) -> None:
    assert last_inference_s(statistics) == seconds
