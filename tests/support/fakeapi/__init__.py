"""A fake Kubernetes API server in memory, for rings 3 and 5.

It exists to inject faults and to count writes: 410, 429 with Retry-After, cut and silent streams, hanging calls, stale
versions, field conflicts, and how many requests changed nothing. It is strict where our client could be sloppy
(resourceVersions, uids, field ownership, generation, immutable fields), but it is a fake: what it accepts proves
nothing about the real API server. Ring 4 is the judge of semantics.

In a test: `async with FakeApi() as api: ...`. On its own: `python -m tests.support.fakeapi --port 8001 --load 5000`.
"""

from tests.support.fakeapi.cluster import Cluster
from tests.support.fakeapi.faults import Asked
from tests.support.fakeapi.kinds import Kind, custom_kind
from tests.support.fakeapi.server import FakeApi
from tests.support.fakeapi.slices import EndpointSlices
from tests.support.fakeapi.workloads import Workloads

__all__ = ["Asked", "Cluster", "EndpointSlices", "FakeApi", "Kind", "Workloads", "custom_kind"]
