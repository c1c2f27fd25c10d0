"""Whether the output that `spec.requests.confidence` names can be judged: its owner is told before users notice."""

from __future__ import annotations

from plimsoll.core.names import preflight_name
from plimsoll.core.validation.elements import FLOATS
from plimsoll.core.validation.problem import quoted
from plimsoll.core.world import Observed

_MOST_KNOWN = 64
"""Outputs that a preflight reports: where there are as many, there may be others."""
_MOST_TOLD = 8


def confidence_warning(observed: Observed, revision: str) -> str:
    """Returns why no answer of a revision can be judged by its confidence, without a full stop.

    Empty where answers can be, nothing asks for it, or the interface is not known.
    """
    requests = observed.object.spec.requests
    confidence = requests.confidence if requests else None
    verdict = observed.verdicts.get(preflight_name(revision))
    if confidence is None or verdict is None or verdict.revision != revision or not verdict.outputs:
        return ""
    named = next((one for one in verdict.outputs if one.name == confidence.output), None)
    if named is not None and named.data_type in FLOATS:
        return ""
    if named is None and len(verdict.outputs) >= _MOST_KNOWN:
        return ""
    name = quoted(confidence.output)
    wrong = f"it has no output {name}" if named is None else f"its output {name} is {named.data_type}"
    fit = [quoted(one.name) for one in verdict.outputs if one.data_type in FLOATS][:_MOST_TOLD]
    way_out = f"name an output of floating-point numbers: {', '.join(fit)}" if fit else "remove requests.confidence"
    return f"No answer of revision {revision} is judged by its confidence, because {wrong}; {way_out}"
