"""A model of 90 MB that takes token ids: fetched, warmed with its golden inputs, and right."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.support.team import Team

from plimsoll_dev.models.catalogue import GOLDEN_FILE, MINILM
from plimsoll_dev.testbed.forward import forwarded


def test_it_embeds_as_its_golden_file_says(team: Team, text_model_uri: str) -> None:
    limits = {"memory": "1Gi", "ephemeral-storage": "300Mi"}
    served = team.deploy(
        "minilm", text_model_uri, runtime={"resources": {"limits": limits, "requests": {"cpu": "20m"}}}
    )
    team.until_ready(served, 240)
    case = json.loads((MINILM.path / GOLDEN_FILE).read_text(encoding="utf-8"))["cases"][0]
    with forwarded(team.testbed.kubectl, team.namespace, "service/minilm", 8000) as port:
        url = f"http://127.0.0.1:{port}/v2/models/minilm/infer"
        answer = httpx.post(url, json={"inputs": case["inputs"]}, timeout=30, trust_env=False).json()
    (wanted,) = case["outputs"]
    (given,) = answer["outputs"]
    assert given["shape"] == wanted["shape"]
    assert flat(given["data"]) == pytest.approx(flat(wanted["data"]), abs=1e-4)


def flat(data: list[Any]) -> list[float]:
    return [x for item in data for x in (flat(item) if isinstance(item, list) else [item])]
