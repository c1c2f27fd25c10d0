"""Names of the HTTP headers, and of the gRPC metadata, by which clients and gateways talk about routing."""

from __future__ import annotations

from typing import Final

CANDIDATE_HEADER: Final = "x-plimsoll-candidate"
"""On a request: `true` asks for the candidate, where there is one."""
REVISION_HEADER: Final = "x-plimsoll-revision"
"""On an answer: the revision that gave it."""
ATTEMPT_HEADER: Final = "x-plimsoll-attempt"
"""On an answer: which attempt gave it; absent from the first."""
TIMEOUT_HEADER: Final = "x-plimsoll-timeout-ms"
"""On an HTTP request: how long its client waits for the whole answer, in milliseconds. gRPC has `grpc-timeout`."""
MESH_TIMEOUT_HEADER: Final = "x-envoy-expected-rq-timeout-ms"
"""The same as a mesh says it: Envoy adds it to what it forwards, so that those behind it need not work in vain."""
QUEUED_HEADER: Final = "x-plimsoll-queued"
"""On an answer: how long the request waited for a replica, in milliseconds; absent where it did not wait."""
DEGRADED_HEADER: Final = "x-plimsoll-degraded"
"""On an answer that another model gave: `fallback; model=NAME; reason=overload`, or `traffic`, `kill-switch`, or
`confidence`: the model that was asked is not sure enough."""
CONFIDENCE_HEADER: Final = "x-plimsoll-confidence"
"""On an answer of a model with `spec.requests.confidence` that is not known to be sure: `low`, `abstained` where its
outputs are withheld for that, or `unknown` where it could not be judged."""
CACHE_HEADER: Final = "x-plimsoll-cache"
"""On an answer of a model that has a cache: `hit`, `shared` with a request that was under way, `miss`, or `recheck`:
one was kept, and the model was asked all the same. Absent where the request could not be looked up."""
