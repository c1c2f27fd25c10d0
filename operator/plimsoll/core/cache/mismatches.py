"""What is said of kept answers that a model contradicts."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.core.actions import Announcement, Severity
from plimsoll.core.world import Observed


def announced(observed: Observed) -> Iterator[Announcement]:
    """Yields an Event for each revision of which gateways tell that another answer came than was kept."""
    found = observed.gateways.mismatches if observed.gateways is not None else {}
    for revision, count in sorted(found.items()):
        answers = "1 kept answer differs" if count == 1 else f"{count} kept answers differ"
        message = (
            f"{answers} from what revision {revision} answers now, so it is not what its preflight found: remove "
            "spec.cache, and look for what it depends on besides its inputs; a parameter belongs in cache.parameters"
        )
        yield Announcement(Severity.WARNING, "CacheMismatch", message)
