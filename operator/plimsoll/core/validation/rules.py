"""All that a gateway needs to judge the requests and answers of one revision."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.api.preflight_status import Interface, PreflightStatus
from plimsoll.api.requests_validation import InputChecks, OnInvalid, OnInvalidOutput
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.validation.decision import Decision, decided
from plimsoll.core.validation.inputs import Nulls
from plimsoll.core.validation.schema import Checks, Schema, checks_of, schema_of


@dataclass(frozen=True, slots=True)
class Rules:
    """One revision's.

    Attributes:
        revision: Its name: another one may take and give something else.
        schema: What it takes and gives.
        checks: What the owner says of inputs.
        on_invalid: What becomes of requests; None where the model server judges.
        fails_invalid_outputs: An answer that is none is a failure.
    """

    revision: str
    schema: Schema
    checks: Checks
    on_invalid: OnInvalid | None
    fails_invalid_outputs: bool

    def judged(self, request: InferRequest, nulls: Nulls) -> Decision:
        """Returns what becomes of a request."""
        if self.on_invalid is None:
            return Decision(request)
        return decided(self.on_invalid, request, self.schema, self.checks, nulls)

    def under(self, spec: InputChecks | None) -> Rules:
        """Returns the rules for the same revision where its owner says this, as `rules_of` takes it."""
        spec = spec or InputChecks()
        return Rules(
            self.revision,
            self.schema,
            checks_of(spec),
            spec.on_invalid,
            fails_invalid_outputs=spec.on_invalid_output is OnInvalidOutput.FAIL,
        )


def rules_of(spec: InputChecks | None, status: PreflightStatus | Interface | None) -> Rules | None:
    """Returns the rules for the revision that status speaks of; None where its interface is not known.

    Args:
        spec: `spec.requests`; None where it is absent, which leaves the defaults.
        status: `status.preflight`, or `status.stableInterface`.
    """
    schema = schema_of(status) if status is not None else None
    if status is None or schema is None:
        return None
    return Rules(status.revision, schema, Checks(), None, fails_invalid_outputs=True).under(spec)
