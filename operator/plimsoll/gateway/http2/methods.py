"""Which calls pass, and how the model of each is found. The list is part of the public contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from plimsoll.core.records.grpc_status import Status


class NamedBy(Enum):
    """Where a call's model is named."""

    MESSAGE = auto()
    """In its first message."""
    AUTHORITY = auto()
    """By the host that it is addressed to: the call itself is about a server, and each model has its own."""


@dataclass(frozen=True, slots=True)
class Method:
    """A call that passes.

    Attributes:
        named_by: Where its model is named.
        is_inference: It predicts: what becomes of it is evidence about the revision, and its revision is drawn.
        may_repeat: A second attempt is allowed where the first failed. A stream may have changed something.
    """

    named_by: NamedBy
    is_inference: bool = False
    may_repeat: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that does not pass: the answer to it."""

    status: Status
    message: str


_INFERENCE: Final = "/inference.GRPCInferenceService/"
_ABOUT_A_MODEL: Final = Method(NamedBy.MESSAGE)
_ABOUT_A_SERVER: Final = Method(NamedBy.AUTHORITY)

PASSING: Final = {
    f"{_INFERENCE}ModelInfer": Method(NamedBy.MESSAGE, is_inference=True),
    f"{_INFERENCE}ModelStreamInfer": Method(NamedBy.MESSAGE, is_inference=True, may_repeat=False),
    f"{_INFERENCE}ModelMetadata": _ABOUT_A_MODEL,
    f"{_INFERENCE}ModelReady": _ABOUT_A_MODEL,
    f"{_INFERENCE}ModelConfig": _ABOUT_A_MODEL,
    f"{_INFERENCE}ModelStatistics": _ABOUT_A_MODEL,
    f"{_INFERENCE}ServerLive": _ABOUT_A_SERVER,
    f"{_INFERENCE}ServerReady": _ABOUT_A_SERVER,
    f"{_INFERENCE}ServerMetadata": _ABOUT_A_SERVER,
    "/grpc.health.v1.Health/Check": _ABOUT_A_SERVER,
}

_ADMINISTRATIVE: Final = (
    "Repository",
    "SystemSharedMemory",
    "CudaSharedMemory",
    "TraceSetting",
    "LogSettings",
)


def method_of(path: str) -> Method | Refused:
    """Returns what becomes of a call to `path`, the value of `:path`."""
    known = PASSING.get(path)
    if known is not None:
        return known
    name = path.removeprefix(_INFERENCE)
    if name != path and name.startswith(_ADMINISTRATIVE):
        return Refused(
            Status.PERMISSION_DENIED,
            f"{name} administers a server, and servers are administered by the operator: "
            "change the ModelDeployment instead.",
        )
    return Refused(Status.UNIMPLEMENTED, f"The gateway does not forward {path}.")
