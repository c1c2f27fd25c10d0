"""The requests a model server is warmed up and watched with.

They are sent by a script in the pod, not by Triton's `model_warmup`: there a request the model rejects keeps the server
from ever becoming ready, and neither made-up values nor a golden case may do that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton import rawdata
from plimsoll.core.triton.config import preferred_batch_sizes
from plimsoll.core.triton.golden import GoldenCase
from plimsoll.core.triton.tensors import ELEMENT_SIZE, ModelInterface, Tensor, element_count

WARMUP_REQUESTS: Final = 10
# Triton refuses HTTP bodies above 64 MiB by default; the rest is for the JSON header.
MAX_BODY_BYTES: Final = 60 * 2**20


class Warmup(StrEnum):
    """Where the warm-up requests come from."""

    GOLDEN = "Golden"
    GENERATED = "Generated"
    OWN = "Own"  # the model's configuration has a model_warmup, which Triton runs itself
    NONE = "None"  # nothing is known about the inputs, or one row is too large for a request


@dataclass(frozen=True, slots=True)
class Row:
    """One input for one row; a batch of n repeats `raw` n times."""

    name: str
    data_type: DataType
    shape: tuple[int, ...]  # without the batch dimension when the model batches
    raw: bytes


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What the scripts need: `batches` holds one batch size per warm-up request."""

    model: str
    source: Warmup
    rows: tuple[Row, ...] | None  # None: the script asks the server; empty: no request can be made
    batching: bool
    batches: tuple[int, ...]
    instances: int

    def description(self) -> dict[str, Any]:
        """Describe the plan in JSON; the values lie behind one another in a file beside it."""
        inputs = []
        offset = 0
        for row in self.rows or ():
            inputs.append(
                {
                    "name": row.name,
                    "datatype": str(row.data_type),
                    "shape": list(row.shape),
                    "offset": offset,
                    "length": len(row.raw),
                }
            )
            offset += len(row.raw)
        return {
            "model": self.model,
            "source": str(self.source),
            "inputs": inputs if self.rows is not None else None,
            "batching": self.batching,
            "batches": list(self.batches),
            "instances": self.instances,
        }

    def values(self) -> bytes:
        """Return the values of all rows, in the order of `description`."""
        return b"".join(row.raw for row in self.rows or ())


def probe_plan(
    model: str, interface: ModelInterface | None, golden: GoldenCase | None, instances: int, *, own_warmup: bool = False
) -> ProbePlan:
    """Plan the requests: golden inputs where there are some, else made-up ones.

    Args:
        model: The public name.
        interface: None when only the running server knows what the model takes.
        golden: A case that fits the interface.
        instances: Copies of the model in one server; each gets all requests.
        own_warmup: The configuration has a `model_warmup` of its own, which Triton runs.
    """
    rows: tuple[Row, ...] | None = None
    batches: tuple[int, ...] = (1,) * WARMUP_REQUESTS
    source = Warmup.GENERATED
    if interface is not None:
        rows = _golden_rows(golden, interface) if golden else _generated_rows(interface)
        batches = _batches(interface, sum(len(row.raw) for row in rows)) if rows else ()
        source = (Warmup.GOLDEN if golden else Warmup.GENERATED) if rows else Warmup.NONE
    if own_warmup:
        batches, source = (), Warmup.OWN
    return ProbePlan(model, source, rows, interface is not None and interface.batches, batches, instances)


def no_probe(model: str, *, own_warmup: bool) -> ProbePlan:
    """Plan for a model a single plain request means nothing to: only the server's health is looked at."""
    return ProbePlan(model, Warmup.OWN if own_warmup else Warmup.NONE, (), False, (), 1)


def _batches(interface: ModelInterface, row_bytes: int) -> tuple[int, ...]:
    """Spread the requests over batch 1 and the preferred sizes that fit one body, small ones first."""
    sizes = [1]
    if interface.max_batch_size > 1:
        preferred = preferred_batch_sizes(interface.max_batch_size)
        sizes += [size for size in preferred if size * row_bytes <= MAX_BODY_BYTES]
    each, left = divmod(WARMUP_REQUESTS, len(sizes))
    return tuple(size for index, size in enumerate(sizes) for _ in range(each + (index < left)))


def _generated_rows(interface: ModelInterface) -> tuple[Row, ...]:
    if sum(_generated_size(tensor) for tensor in interface.inputs) > MAX_BODY_BYTES:
        return ()
    return tuple(_generated_row(tensor) for tensor in interface.inputs)


def _generated_size(tensor: Tensor) -> int:
    return element_count(tensor.dims) * ELEMENT_SIZE.get(tensor.data_type, 5)  # BYTES: length prefix and one space


def _generated_row(tensor: Tensor) -> Row:
    shape = tuple(max(dim, 1) for dim in tensor.dims) or (1,)
    return Row(tensor.name, tensor.data_type, shape, rawdata.generated(element_count(shape), tensor.data_type))


def _golden_rows(golden: GoldenCase, interface: ModelInterface) -> tuple[Row, ...]:
    rows = tuple(
        Row(
            tensor.name,
            tensor.data_type,
            shape := tensor.shape[1:] if interface.batches else tensor.shape,
            rawdata.first_elements(tensor.raw, element_count(shape), tensor.data_type),
        )
        for tensor in golden.inputs
    )
    return rows if sum(len(row.raw) for row in rows) <= MAX_BODY_BYTES else ()
