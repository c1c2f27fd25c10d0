"""What becomes of a request: `spec.requests.onInvalid` applied to what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from plimsoll.api.requests_validation import OnInvalid
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.validation.imputing import imputed
from plimsoll.core.validation.inputs import Nulls, problems_of_request
from plimsoll.core.validation.problem import Kind, Problem, header_value, sentences
from plimsoll.core.validation.schema import Checks, Schema


@dataclass(frozen=True, slots=True)
class Decision:
    """One.

    Attributes:
        request: To be sent; another one than came where something was filled in.
        refusal: What to tell the client instead of sending it, with 400 or INVALID_ARGUMENT; empty where it is sent.
        header: Value of `x-plimsoll-invalid`; empty where there is nothing to say.
        problems: What was found, in the request as it is sent.
        filled: Inputs in which something was filled in.
    """

    request: InferRequest
    refusal: str = ""
    header: str = ""
    problems: tuple[Problem, ...] = ()
    filled: tuple[str, ...] = ()


def decided(action: OnInvalid, request: InferRequest, schema: Schema, checks: Checks, nulls: Nulls) -> Decision:
    """Returns what becomes of a request.

    Nulls are refused under Flag as well: there are no bytes that would say null to the model server.
    """
    match action:
        case OnInvalid.REJECT:
            return _rejecting(Decision(request, problems=problems_of_request(request, schema, checks, nulls)))
        case OnInvalid.IMPUTE:
            better = imputed(request, schema, checks, nulls)
            problems = problems_of_request(better.request, schema, checks, better.nulls)
            return _rejecting(Decision(better.request, problems=problems, filled=better.filled))
        case OnInvalid.FLAG:
            problems = problems_of_request(request, schema, checks, nulls)
            if any(problem.kind is Kind.NULL for problem in problems):
                return _rejecting(Decision(request, problems=problems))
            return Decision(request, "", header_value(problems), problems)
        case _:
            assert_never(action)


def _rejecting(decision: Decision) -> Decision:
    if not decision.problems:
        return decision
    return Decision(decision.request, sentences(decision.problems), "", decision.problems, decision.filled)
