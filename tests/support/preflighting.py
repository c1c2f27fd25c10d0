"""Contexts and requests for phases under test."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from plimsoll.api.preflight import Preflight
from plimsoll.api.preflight_report import Figures, InputSource, ModelKind, PhaseName, ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.preflight.client import Served, Session
from plimsoll.preflight.inputs import Case, InputSet
from plimsoll.preflight.phases import Context
from plimsoll.preflight.progress import LineProgress
from plimsoll.preflight.request import Peer, Request

SECONDS = 60.0
Tensors = Sequence[tuple[str, DataType, Sequence[int]]]
"""Name, type and dims of each."""


def f32(*rows: list[float]) -> np.ndarray[Any, Any]:
    return np.array(rows, dtype="<f4")


def peer(address: str, model: str = "m", label: str = "stable") -> Peer:
    return Peer(address=address, model=model, label=label)


def served(
    inputs: Tensors = (("x", DataType.FP32, [2]),),
    outputs: Tensors = (("y", DataType.FP32, [3]),),
    max_batch_size: int = 8,
) -> Served:
    def made(tensors: Tensors) -> tuple[ServedTensor, ...]:
        return tuple(ServedTensor(name=name, data_type=kind, dims=list(dims)) for name, kind, dims in tensors)

    return Served(
        kind=ModelKind.PLAIN,
        inputs=made(inputs),
        outputs=made(outputs),
        max_batch_size=max_batch_size,
        instances=1,
        max_queue_delay_ms=None,
        preferred_batch_sizes=(),
        server="triton 2.51.0",
    )


def request(address: str, preflight: dict[str, Any] | None = None, **fields: Any) -> Request:
    return Request(
        **{
            "model": "m",
            "target": address,
            "preflight": Preflight.model_validate(preflight or {}),
            "request_timeout_s": 5.0,
            "progress_deadline_s": 5.0,
            **fields,
        }
    )


def golden(cases: list[Case], source: InputSource = InputSource.ARTEFACT, *, batches: bool = True) -> InputSet:
    return InputSet(source, tuple(cases), batches)


def context(  # noqa: PLR0913 - all but two are by name and have a default
    asked: Request,
    phase: PhaseName,
    inputs: InputSet | None = None,
    *,
    seconds: float = SECONDS,
    figures: Figures | None = None,
    stable: Session | None = None,
    reference: Session | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Context:
    return Context(
        phase=phase,
        request=asked,
        inputs=inputs or golden([]),
        figures=figures or Figures(),
        seconds=seconds,
        until=clock.monotonic() + seconds,
        clock=clock,
        rng=np.random.default_rng(1),
        progress=LineProgress(lambda _: None),
        stable=stable,
        reference=reference,
    )
