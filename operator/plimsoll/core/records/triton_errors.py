"""Whose fault an error of Triton is, where its status says the wrong one.

Triton 2.51 answers some malformed requests with INTERNAL (HTTP 500), and a full queue with UNAVAILABLE (503), as it
does when it is broken. Only its sentences tell. They are matched at the end where Triton puts them: a model's own
message, or a request's id, may hold the same words elsewhere.
"""

from __future__ import annotations

from typing import Final

_OVERLOAD: Final = ("Exceeds maximum queue size", "Request timeout expired")
"""A full queue, or a wait in it that took too long. Behind `[request id: ...]`, so they are looked for at the end."""

_NOT_UNDERSTOOD: Final = (
    "failed to parse the request JSON buffer",
    "Unable to parse '",
    "Unable to set 'classification'",
    "failed to get request params.",
    "attempt to get members for non-object",
)
"""How Triton's HTTP server begins when it could not read a request: no JSON, a field missing or of the wrong type,
fewer or more elements than the shape says. No id stands before them, as it had not been read yet."""

_NO_MESSAGE: Final = "Unable to parse request"
"""What gRPC's own library says, with INTERNAL, to bytes that are no message of protobuf."""


def is_overload(message: str) -> bool:
    """Tells whether a model server that was unavailable says that it had too much to do."""
    return message.endswith(_OVERLOAD)


def is_clients_fault(message: str) -> bool:
    """Tells whether a model server that failed says that it could not read the request."""
    return message == _NO_MESSAGE or message.startswith(_NOT_UNDERSTOOD)
