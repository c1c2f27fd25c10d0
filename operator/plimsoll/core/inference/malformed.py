"""Why a request cannot be read: always the client's fault, and never evidence against a revision."""

from __future__ import annotations

from enum import StrEnum

from plimsoll.errors import Invalid

NOWHERE = -1
"""Position of a fault that is in no element."""


class Fault(StrEnum):
    """Kinds of faults."""

    BAD_ENCODING = "BadEncoding"
    DUPLICATE = "Duplicate"
    MISSING = "Missing"
    NOT_FINITE = "NotFinite"
    NOT_JSON = "NotJson"
    NOT_PROTOBUF = "NotProtobuf"
    NULL = "Null"
    OUT_OF_RANGE = "OutOfRange"
    SHAPE_MISMATCH = "ShapeMismatch"
    TOO_LARGE = "TooLarge"
    UNKNOWN_DATA_TYPE = "UnknownDataType"
    UNSUPPORTED = "Unsupported"
    WRONG_TYPE = "WrongType"


class Malformed(Invalid):
    """A request that cannot be read.

    Attributes:
        fault: Its kind.
        input: Input that the fault is in, empty where it is in none.
        position: Element of that input in row-major order, from 0; `NOWHERE` where it is in none.
    """

    def __init__(self, fault: Fault, message: str, name: str = "", position: int = NOWHERE) -> None:
        super().__init__(fault.value, message)
        self.fault = fault
        self.input = name
        self.position = position


def shown(text: object) -> str:
    """Returns what a client sent as it may be repeated to it: one line, at most 40 characters."""
    return f"{text!r:.40}"
