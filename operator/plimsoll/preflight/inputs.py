"""What is sent to the model: golden cases from a file, or generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from plimsoll.api.preflight_report import InputSource
from plimsoll.preflight.tensors import Tensors, rows_of


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and what should be answered. A batching model's tensors have the batch dimension first."""

    number: int
    """From 1, as in the file."""
    inputs: Tensors
    expected: Tensors | None = None


@dataclass(frozen=True, slots=True)
class InputSet:
    """The cases of one preflight."""

    source: InputSource
    cases: tuple[Case, ...]
    batches: bool
    refused: set[int] = field(default_factory=set)
    """Numbers of the cases that the model answered with an error, as the golden phase found out."""

    @property
    def generated(self) -> bool:
        """Whether nobody vouches for these values."""
        return self.source is InputSource.GENERATED

    @property
    def usable(self) -> tuple[Case, ...]:
        """The cases the model answers."""
        return tuple(case for case in self.cases if case.number not in self.refused)

    def rows(self) -> tuple[Tensors, ...]:
        """Returns the single items of the usable cases, the most that have equal shapes, so that any may share a batch.

        Each keeps a batch dimension of 1 where the model batches.
        """
        groups: dict[tuple[tuple[int, ...], ...], list[Tensors]] = {}
        for case in self.usable:
            for item in items(case.inputs, batches=self.batches):
                groups.setdefault(tuple(item[name].shape for name in sorted(item)), []).append(item)
        largest: list[Tensors] = max(groups.values(), key=len) if groups else []
        return tuple(largest)


def batch_of(rows: Sequence[Tensors], size: int, first: int = 0) -> Tensors:
    """Joins `size` rows of `InputSet.rows()` into one request's inputs, from the `first`-th on, around the end.

    For a model that does not batch `size` is 1.
    """
    chosen = [rows[(first + index) % len(rows)] for index in range(size)]
    if size == 1:
        return chosen[0]
    return {name: np.concatenate([row[name] for row in chosen]) for name in chosen[0]}


def items(inputs: Tensors, *, batches: bool) -> list[Tensors]:
    """Returns the single items of one request."""
    if not batches:
        return [inputs]
    count = rows_of(inputs, batches=True)
    return [{name: values[row : row + 1] for name, values in inputs.items()} for row in range(count)]
