"""Runs several requests as one: joins their inputs row by row, and deals the rows of the outputs out again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Arrays = Mapping[str, Array]
Run = Callable[[Sequence[str], Arrays], Sequence[Array]]
"""Names of the wanted outputs and the inputs, to the outputs in the order of the names."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its inputs and the names of the outputs it asks for."""

    inputs: Arrays
    wanted: tuple[str, ...]


Result = Mapping[str, Array] | Exception


def run_all(calls: Sequence[Call], run: Run, *, batched: bool) -> list[Result]:
    """The results in the order of the calls: its outputs, or what went wrong with this one alone.

    Calls are joined when the model batches and their inputs agree in name, type and all sizes but the first. When a
    joint run fails, or an output does not have one row per row of input, its calls run one by one: a bad request never
    fails its neighbours.
    """
    results: dict[int, Result] = {}
    for group in _groups(calls) if batched else [[index] for index in range(len(calls))]:
        results.update(zip(group, _run_group([calls[index] for index in group], run), strict=True))
    return [results[index] for index in range(len(calls))]


def _groups(calls: Sequence[Call]) -> list[list[int]]:
    groups: dict[object, list[int]] = {}
    for index, call in enumerate(calls):
        signature = tuple(sorted((name, array.dtype.str, array.shape[1:]) for name, array in call.inputs.items()))
        groups.setdefault(signature, []).append(index)
    return list(groups.values())


def _run_group(calls: Sequence[Call], run: Run) -> Sequence[Result]:
    joint = _run_joint(calls, run) if len(calls) > 1 else None
    return joint if joint is not None else [_run_single(call, run) for call in calls]


def _run_single(call: Call, run: Run) -> Result:
    try:
        return dict(zip(call.wanted, run(call.wanted, call.inputs), strict=True))
    except Exception as error:  # noqa: BLE001 - whatever the model raises is the answer to this request
        return error


def _run_joint(calls: Sequence[Call], run: Run) -> Sequence[Result] | None:
    rows = [_rows(call) for call in calls]
    if None in rows:
        return None
    bounds = list(pairwise(accumulate((count or 0 for count in rows), initial=0)))
    wanted = tuple(dict.fromkeys(name for call in calls for name in call.wanted))
    inputs = {name: np.concatenate([call.inputs[name] for call in calls]) for name in calls[0].inputs}
    try:
        outputs = dict(zip(wanted, run(wanted, inputs), strict=True))
    except Exception:  # noqa: BLE001 - the runs one by one say which request it was
        return None
    if any(array.ndim == 0 or array.shape[0] != bounds[-1][1] for array in outputs.values()):
        return None
    return [
        {name: outputs[name][start:end] for name in call.wanted}
        for call, (start, end) in zip(calls, bounds, strict=True)
    ]


def _rows(call: Call) -> int | None:
    """The batch size of a call, None where its inputs do not agree on one."""
    sizes = {array.shape[0] if array.ndim else None for array in call.inputs.values()}
    return sizes.pop() if len(sizes) == 1 else None
