"""A labelled set in a shape that can be asked about: rows that share a batch, in an order that any part represents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plimsoll.preflight.cases import LabelledRow, labelled_rows
from plimsoll.preflight.client import Session
from plimsoll.preflight.documents import first_document
from plimsoll.preflight.inputs import batch_of
from plimsoll.preflight.phases import Context
from plimsoll.preflight.tensors import Tensors

_BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that are asked in one request."""

    inputs: Tensors
    rows: tuple[LabelledRow, ...]

    @property
    def labels(self) -> NDArray[Any]:
        """The right classes, shape (rows,): int64 or text."""
        return np.array([row.label for row in self.rows])


async def read_rows(session: Session, context: Context) -> tuple[LabelledRow, ...] | None:
    """Reads the dataset; None where there is none.

    Raises:
        Invalid: It is named and missing, or wrong.
        UnreadableError: An outage.
    """
    document = await first_document(context.request.dataset, context.request.examiner)
    return None if document is None else labelled_rows(document, session.served)


def chunks(session: Session, rows: Sequence[LabelledRow], rng: np.random.Generator) -> Iterator[Chunk]:
    """Yields all rows once, in random order: whoever stops early has seen a fair sample.

    Rows of different shapes do not share a request.
    """
    size = min(session.served.largest_batch, _BATCH)
    waiting: dict[tuple[tuple[int, ...], ...], list[LabelledRow]] = {}
    for index in rng.permutation(len(rows)):
        row = rows[int(index)]
        group = waiting.setdefault(tuple(row.inputs[name].shape for name in sorted(row.inputs)), [])
        group.append(row)
        if len(group) == size:
            yield _chunk(group)
            group.clear()
    for group in waiting.values():
        if group:
            yield _chunk(group)


def _chunk(rows: Sequence[LabelledRow]) -> Chunk:
    return Chunk(batch_of([row.inputs for row in rows], len(rows)), tuple(rows))
