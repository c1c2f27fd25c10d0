"""Names of the HTTP headers, and of the gRPC metadata, by which clients and gateways talk about routing."""

from __future__ import annotations

from typing import Final

CANDIDATE_HEADER: Final = "x-plimsoll-candidate"
"""On a request: `true` asks for the candidate, where there is one."""
REVISION_HEADER: Final = "x-plimsoll-revision"
"""On an answer: the revision that gave it."""
ATTEMPT_HEADER: Final = "x-plimsoll-attempt"
"""On an answer: which attempt gave it; absent from the first."""
