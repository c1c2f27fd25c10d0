"""What an infer request says, whatever it came as: JSON, JSON with binary tensors behind it, or protobuf.

Two requests that ask the same have equal values here: numbers have no spelling, data is not nested, and nothing tells
which transport carried it, except `binary`, which says how the answer is to be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.api.vocabulary import DataType

Parameter = bool | int | float | str
"""Value of a parameter. A whole number is an `int`, however it was spelled."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input.

    Attributes:
        name: Its name.
        data_type: Element type.
        shape: Size of each dimension, with the batch dimension where the model has one.
        data: Elements in row-major order, little-endian; each element of BYTES after its length in 4 bytes. There are
            exactly as many as the shape says.
    """

    name: str
    data_type: DataType
    shape: tuple[int, ...]
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output that is asked for.

    Attributes:
        name: Its name.
        classes: As how many `(score, index, label)` it is to be written, 0 where its elements are asked for.
        binary: Over HTTP: it is to be written behind the JSON. Says nothing about the answer itself.
    """

    name: str
    classes: int = 0
    binary: bool = False


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One infer request.

    Attributes:
        id: As the client chose it, empty where it chose none; the answer repeats it.
        inputs: In the order given; no two have one name.
        outputs: In the order given; empty where all outputs are asked for.
        parameters: Of the request as a whole, but those that only say how it or its answer is written.
        version: Of the model, empty where the client leaves it to the server.
        binary: Over HTTP: outputs that are not named are to be written behind the JSON.
    """

    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    version: str = ""
    binary: bool = False
