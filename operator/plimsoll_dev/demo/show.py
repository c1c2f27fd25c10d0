"""Sends handwritten digits to a served model and prints picture, answer and latency."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from plimsoll_dev.models.images import draw
from plimsoll_dev.models.samples import Sample, infer_request


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said about one image, and how long that took."""

    sample: Sample
    label: int
    probability: float
    version: str
    milliseconds: float


def ask(port: int, model: str, samples: list[Sample]) -> list[Answer]:
    """Sends the samples one after the other over one connection to a local port.

    Raises:
        httpx.HTTPError: the model did not answer.
    """
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
        return [_ask(client, model, sample) for sample in samples]


def _ask(client: httpx.Client, model: str, sample: Sample) -> Answer:
    started = time.perf_counter()
    response = client.post(f"/v2/models/{model}/infer", json=infer_request(sample.image))
    milliseconds = (time.perf_counter() - started) * 1000
    response.raise_for_status()
    body = response.json()
    outputs = {output["name"]: output["data"] for output in body["outputs"]}
    label = int(outputs["label"][0])
    return Answer(sample, label, float(outputs["probabilities"][label]), body["model_version"], milliseconds)


def findings(status: Mapping[str, Any]) -> str:
    """Returns what the preflight of the newest revision found, phase by phase."""
    told = status.get("preflight")
    if not told:
        return "This revision served before: it was not examined again."
    phases = "\n".join(f"    {phase['name']:<16}{phase['status']}" for phase in told.get("phases", []))
    return f"The preflight of revision {told['revision']}: {told['outcome']}. {told.get('message', '')}\n{phases}"


def picture(answer: Answer) -> str:
    """Returns the image with what the model said beside it."""
    told = {
        2: f"the model says {answer.label} ({answer.probability:.0%})",
        3: f"it was written as {answer.sample.label}",
        4: f"{answer.milliseconds:.1f} ms through kubectl port-forward",
    }
    return "\n".join(
        f"    {row}   {told.get(number, '')}".rstrip() for number, row in enumerate(draw(answer.sample.image))
    )
