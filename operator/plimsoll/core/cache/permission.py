"""Whether answers of a revision may be kept: only where its preflight found the same answers each time.

A model of which an answer is a stream, or depends on the requests before, is of a kind that Load refuses; what has not
passed Load is therefore not cached either, whatever the mode of the preflight.
"""

from __future__ import annotations

from plimsoll.api.preflight_report import PhaseName, PhaseStatus
from plimsoll.core.names import preflight_name
from plimsoll.core.world import Observed, Verdict

_WAY_OUT = "remove spec.cache, or publish a model that gives the same answer each time"


def cacheable(observed: Observed) -> frozenset[str] | None:
    """Returns the revisions whose answers may be kept; None where the spec asks for no cache."""
    if observed.object.spec.cache is None:
        return None
    return frozenset(revision for revision in observed.revisions if not cache_refusal(observed, revision))


def cache_refusal(observed: Observed, revision: str) -> str:
    """Returns why a cache that the spec asks for is refused, without a full stop; empty where it is not."""
    if observed.object.spec.cache is None:
        return ""
    return _refusal(revision, observed.verdicts.get(preflight_name(revision)))


def _refusal(revision: str, verdict: Verdict | None) -> str:
    if verdict is None or verdict.deleting or verdict.revision != revision:
        return (
            f"No answer of revision {revision} is kept, because no preflight has shown that it gives the same answer "
            "each time; let the next revision pass one (preflight.mode Enforce or Warn, whenNoStable Gate), or remove "
            "spec.cache"
        )
    phases = dict(verdict.phases)
    if phases.get(PhaseName.LOAD) not in _PASSED:
        return (
            f"No answer of revision {revision} is kept, because its preflight could not examine it "
            f"({verdict.reason}): streams and sequences are not cached; {_WAY_OUT}"
        )
    match phases.get(PhaseName.DETERMINISM):
        case PhaseStatus.PASSED:
            return ""
        case PhaseStatus.FAILED | PhaseStatus.WARNED:
            return (
                f"No answer of revision {revision} is kept, because the same inputs got different answers in its "
                f"preflight; {_WAY_OUT}"
            )
        case _:
            return (
                f"No answer of revision {revision} is kept, because its preflight did not get to the determinism "
                "check; raise preflight.budget, or remove spec.cache"
            )


_PASSED = frozenset({PhaseStatus.PASSED, PhaseStatus.WARNED})
