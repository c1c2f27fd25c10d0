"""`status.preflight`: the report in short, for people and for the programs that act on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plimsoll.api.base import ATOMIC_LIST, ApiModel, list_map
from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseStatus
from plimsoll.api.vocabulary import DataType

MAX_REASON = 128
MAX_TENSORS = 64
MAX_TENSOR_NAME = 256
MAX_DIMS = 16


class PhaseOutcome(ApiModel):
    """How one phase of the preflight ended."""

    name: PhaseName
    """The phase."""
    status: PhaseStatus
    """Passed, Warned, Failed or Skipped."""


class TensorStatus(ApiModel):
    """One input or output as the server declares it."""

    name: Annotated[str, Field(max_length=MAX_TENSOR_NAME)]
    """Name of the tensor."""
    data_type: DataType
    """Element type."""
    dims: Annotated[list[int], Field(max_length=MAX_DIMS, json_schema_extra=dict(ATOMIC_LIST))]
    """Shape of one item, without the batch dimension; -1 is a dimension of variable size."""
    optional: bool | None = None
    """True for an input that a request may leave out."""


_Tensors = Annotated[list[TensorStatus] | None, Field(max_length=MAX_TENSORS, json_schema_extra=dict(ATOMIC_LIST))]


class Interface(ApiModel):
    """What a revision takes and gives, as its own preflight found it."""

    revision: Annotated[str, Field(max_length=63)]
    """The revision."""
    inputs: _Tensors = None
    """Inputs as the server declares them, the first 64."""
    outputs: _Tensors = None
    """Outputs, as inputs."""
    max_batch_size: Annotated[int | None, Field(ge=0)] = None
    """Largest batch that the server takes; 0 where it does not batch."""


class PreflightStatus(ApiModel):
    """What the last preflight of the newest revision said; the whole report is in ConfigMap REVISION-preflight."""

    revision: Annotated[str, Field(max_length=63)]
    """Revision that was examined."""
    outcome: Outcome
    """Passed, Rejected, or Error, which says nothing about the revision: it is examined again."""
    reason: Annotated[str, Field(max_length=MAX_REASON)]
    """One CamelCase word for programs."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """One sentence for people, with the number and the next step."""
    key: Annotated[str, Field(max_length=64)]
    """Digest of the question: revision, preflight, objective, data, reference. Another question is asked again."""
    at: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When it was recorded."""
    phases: Annotated[list[PhaseOutcome] | None, Field(max_length=16, json_schema_extra=list_map("name"))] = None
    """How each phase ended."""
    inputs: _Tensors = None
    """Inputs as the server declares them, the first 64."""
    outputs: _Tensors = None
    """Outputs, as inputs."""
    max_batch_size: Annotated[int | None, Field(ge=0)] = None
    """Largest batch that the server takes; 0 where it does not batch."""
