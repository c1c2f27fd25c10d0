"""kopf without its memory: every setting with the reason why it differs from the default."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import kopf
from typing_extensions import override


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled state: no annotation that doubles the object, and half the CPU per event."""

    @override
    def build(self, **_: Any) -> Any:
        return {}

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """Keeps no handler progress: there are no handlers with progress."""

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        return None

    @override
    def purge(self, **_: Any) -> None:
        return None

    @override
    def touch(self, **_: Any) -> None:
        return None

    @override
    def clear(self, *, essence: Any) -> Any:
        return essence


class EndlessBackoffs:
    """1, 2, 4, 8, 16, then 30 s for ever.

    kopf ends the process when its list of pauses is used up, after 54 s by default. A class and not a generator,
    because every request iterates over it anew.
    """

    def __iter__(self) -> Iterator[float]:
        """Yields pauses in seconds."""
        return chain((1.0, 2.0, 4.0, 8.0, 16.0), repeat(30.0))


def configure(settings: kopf.OperatorSettings) -> kopf.OperatorSettings:
    """Returns `settings` with what this operator needs."""
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.peering.standalone = True  # a Lease elects; peering freezes both peers at equal priority
    settings.scanning.disabled = True  # no watch on CRDs and namespaces: fewer rights, one fatal path less
    settings.posting.enabled = False  # Events are ours, de-duplicated
    settings.watching.chunk_size = 100  # lists in pages, as our own caches do: pages set the peak of memory
    settings.watching.server_timeout = 300  # an integer: the API server refuses "300.0"
    settings.watching.inactivity_timeout = 70.0  # silence; servers send a bookmark a minute
    settings.queueing.idle_timeout = 0.05  # a task holds its object: 0.5 s held 30 MB at 5,000
    settings.networking.error_backoffs = EndlessBackoffs()  # any re-iterable will do
    settings.execution.max_workers = 1  # there are no synchronous handlers
    return settings
