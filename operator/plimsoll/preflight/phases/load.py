"""Load and metadata: is the model ready in time, is it what the spec says, and of a kind that can be proved?"""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.api.preflight_report import LoadFigures, ModelKind, PhaseStatus, ServedTensor
from plimsoll.core.triton.tensors import DYNAMIC, shape_text
from plimsoll.errors import PlimsollError
from plimsoll.preflight.client import Served, Session
from plimsoll.preflight.failures import RefusedError
from plimsoll.preflight.phases import Context, Outcome

_UNPROVED = {
    ModelKind.DECOUPLED: "it may answer a request with any number of responses",
    ModelKind.SEQUENCE: "its answers depend on the requests before",
}


async def examine(session: Session, context: Context) -> Outcome:
    """Waits for the model, at most `context.seconds`, and compares it with the spec.

    Raises:
        PlimsollError: `ServerUnreachable`: none answered at the end, which may be the network as well as the model.
    """
    began = context.clock.monotonic()
    if not await session.wait_ready(context.seconds):
        if not await session.live():
            message = f"No model server answered at {session.address} within {context.seconds:.0f} s."
            raise PlimsollError("ServerUnreachable", message)
        return context.report(
            PhaseStatus.FAILED,
            "NotReady",
            f"The server answers, but the model '{session.model}' was not ready within {context.seconds:.0f} s. "
            f"Look at the server's log, or raise the progress deadline.",
        ), None
    ready_after_ms = (context.clock.monotonic() - began) * 1000
    context.tell(0.5, "ready")
    try:
        served = await session.describe()
    except RefusedError as error:
        return context.report(PhaseStatus.FAILED, "NotDescribed", f"The server does not describe it: {error}."), None
    figures = LoadFigures(
        kind=served.kind,
        inputs=list(served.inputs),
        outputs=list(served.outputs),
        max_batch_size=served.max_batch_size,
        server=served.server,
        ready_after_ms=ready_after_ms,
    )
    reason, message = _refusal(served, context)
    if reason:
        return context.report(PhaseStatus.FAILED, reason, message), figures
    return context.report(PhaseStatus.PASSED, "Ready", _ready(served)), figures


def _refusal(served: Served, context: Context) -> tuple[str, str]:
    if served.kind in _UNPROVED:
        return "UnsupportedKind", (
            f"The model is of the kind {served.kind}: {_UNPROVED[served.kind]}, which no phase examines yet. "
            f"Set spec.preflight.mode to Skip to serve it unproved."
        )
    declared = (("input", context.request.inputs, served.inputs), ("output", context.request.outputs, served.outputs))
    for kind, wanted, found in declared:
        problem = _mismatch(kind, wanted, found) if wanted is not None else ""
        if problem:
            return "InterfaceMismatch", f"{problem} Correct spec.model.{kind}s, or publish the right model."
    return "", ""


def _mismatch(kind: str, wanted: Sequence[ServedTensor], found: Sequence[ServedTensor]) -> str:
    by_name = {tensor.name: tensor for tensor in found}
    names = {tensor.name for tensor in wanted}
    if names != by_name.keys():
        return f"The spec names the {kind}s {', '.join(sorted(names))}, served are {', '.join(sorted(by_name))}."
    for tensor in wanted:
        served = by_name[tensor.name]
        if tensor.data_type is not served.data_type or not _dims_agree(tensor.dims, served.dims):
            return (
                f"The {kind} '{tensor.name}' is {tensor.data_type} {shape_text(tuple(tensor.dims))} in the spec and "
                f"served as {served.data_type} {shape_text(tuple(served.dims))}."
            )
    return ""


def _dims_agree(wanted: Sequence[int], found: Sequence[int]) -> bool:
    """A side that leaves a dimension open allows what the other says; a scalar per item is served as `[1]`."""
    return len(wanted or [1]) == len(found or [1]) and all(
        want == have or DYNAMIC in (want, have) for want, have in zip(wanted or [1], found or [1], strict=True)
    )


def _ready(served: Served) -> str:
    batch = f"batches of up to {served.max_batch_size}" if served.batches else "no batching"
    return f"{served.kind} model with {len(served.inputs)} inputs and {len(served.outputs)} outputs, {batch}."
