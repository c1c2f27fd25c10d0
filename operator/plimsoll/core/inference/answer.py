"""What a successful answer says, whatever it was written as; the counterpart of `request`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.core.inference.request import Parameter, Tensor


@dataclass(frozen=True, slots=True)
class InferAnswer:
    """One answer, without the id of the request that it was given to.

    Attributes:
        model: Name of the model.
        version: Its version.
        outputs: In the order given.
        parameters: Of the answer as a whole.
    """

    model: str
    version: str
    outputs: tuple[Tensor, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
