"""What a model takes and gives, as the server that was examined declares it, and what its owner adds to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from plimsoll.api.preflight_status import MAX_TENSORS, Interface, PreflightStatus, TensorStatus
from plimsoll.api.requests_validation import InputChecks, NotFinite, signed_value
from plimsoll.api.vocabulary import DataType

VARIABLE = -1


@dataclass(frozen=True, slots=True)
class Declared:
    """One input or output.

    Attributes:
        data_type: Element type.
        shape: With the batch dimension where the model has one; `VARIABLE` where any size fits.
        is_optional: An input that may be left out.
    """

    data_type: DataType
    shape: tuple[int, ...]
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """One revision's interface.

    Attributes:
        inputs, outputs: By name, in the server's order.
        max_batch_size: Largest first dimension; 0 where the model does not batch.
        knows_all_inputs: False where there are more than status holds: then an input that is not listed may be right.
    """

    inputs: Mapping[str, Declared]
    outputs: Mapping[str, Declared]
    max_batch_size: int = 0
    knows_all_inputs: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """What the owner says of one input.

    Attributes:
        least, most: Bounds of its elements; None without.
        default: Stands in for what is missing, null or NaN, as text; None where nothing does.
        takes_not_finite: NaN and infinity are right.
    """

    least: Fraction | None = None
    most: Fraction | None = None
    default: str | None = None
    takes_not_finite: bool = False


@dataclass(frozen=True, slots=True)
class Checks:
    """What the owner says of all inputs, by name."""

    inputs: Mapping[str, Check] = field(default_factory=dict)

    def of(self, name: str) -> Check:
        """Returns what is said of an input."""
        return self.inputs.get(name, _NOTHING)


_NOTHING = Check()


def schema_of(status: PreflightStatus | Interface) -> Schema | None:
    """Returns the interface that a preflight found; None where it found none, and nothing can be checked."""
    if not status.inputs or not status.outputs:
        return None
    size = status.max_batch_size or 0
    return Schema(
        _by_name(status.inputs, batches=bool(size)),
        _by_name(status.outputs, batches=bool(size)),
        size,
        knows_all_inputs=len(status.inputs) < MAX_TENSORS,
    )


def checks_of(spec: InputChecks) -> Checks:
    """Returns what `spec.requests` says of inputs. Numbers have been admitted by their pattern."""
    return Checks(
        {
            one.name: Check(
                None if one.min is None else signed_value(one.min),
                None if one.max is None else signed_value(one.max),
                one.default,
                takes_not_finite=one.not_finite is NotFinite.ALLOW,
            )
            for one in spec.inputs or ()
        }
    )


def _by_name(tensors: Sequence[TensorStatus], *, batches: bool) -> dict[str, Declared]:
    first = (VARIABLE,) if batches else ()
    return {one.name: Declared(one.data_type, (*first, *one.dims), bool(one.optional)) for one in tensors}
