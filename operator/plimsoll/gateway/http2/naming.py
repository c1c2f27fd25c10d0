"""Which model a call is for: from its first message, or from the host that it is addressed to."""

from __future__ import annotations

from collections.abc import Container, Sequence

from plimsoll.core.records.grpc_status import Status
from plimsoll.gateway.http2.methods import Refused
from plimsoll.gateway.http2.model_name import Compressed, Unreadable, find_model_name


def name_by_message(
    chunks: Sequence[bytes], *, ended: bool, label: str, models: Container[str]
) -> str | Refused | None:
    """Returns the name that the first message has, an answer when it has none, or None when it is not all there.

    Args:
        chunks: The call's DATA so far.
        ended: Whether that is all of it.
        label: First label of the host that the call is addressed to; it counts when the message is compressed.
        models: Names of models that there are.
    """
    data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    try:
        return find_model_name(data, ended=ended)
    except Compressed:
        if label in models:
            return label
        return Refused(
            Status.INVALID_ARGUMENT,
            "The first message is compressed, so its model cannot be seen: "
            "address the host that has the model's name, or send it uncompressed.",
        )
    except Unreadable as error:
        return Refused(Status.INVALID_ARGUMENT, f"The first message {error}.")


def name_by_host(label: str, models: Container[str]) -> str | Refused:
    """Returns the name that a call about a server is addressed to, or the answer when there is no such model."""
    if label in models:
        return label
    return Refused(
        Status.NOT_FOUND,
        f"This call is about a server, and every model has its own: address the host MODEL or MODEL.NAMESPACE, "
        f"not {label!r}.",
    )
