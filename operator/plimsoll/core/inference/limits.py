"""How much of a request is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request; whatever is beyond them is refused before it is decoded.

    Attributes:
        body_bytes: Body after decompression.
        parsed_bytes: JSON in it: the objects that it becomes take up to 28 times its bytes, and reading a hostile
            mebibyte takes up to 0.2 s in which nobody else is served.
        looked_at: Elements that are read one by one, which takes 0.3 us each: those of BYTES, and numbers in typed
            contents of protobuf.
        fields: Fields of a protobuf message, but those that are elements.
        tensors: Inputs, and requested outputs.
        dimensions: Dimensions of a tensor.
        parameters: Parameters of the request, or of a tensor.
        name_bytes: A name.
        text_bytes: An id, or the value of a parameter.
    """

    body_bytes: int = 64 << 20
    parsed_bytes: int = 2 << 20
    looked_at: int = 1 << 18
    fields: int = 1024
    tensors: int = 256
    dimensions: int = 16
    parameters: int = 64
    name_bytes: int = 256
    text_bytes: int = 4096


DEFAULT = Limits()
