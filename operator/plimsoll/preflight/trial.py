"""Runs one phase and judges what it does not handle itself.

The model's doing fails the phase: it crashes the server, hangs, refuses what it should take. Generated inputs that are
refused skip it. Anything else that keeps a phase from looking is raised, and is no verdict about the model.
"""

from __future__ import annotations

import asyncio
from typing import Final

from plimsoll.api.preflight_report import PhaseReport, PhaseStatus
from plimsoll.core.preflight.verdict import HANGS, SERVER_DIED
from plimsoll.errors import Invalid, PlimsollError
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import NoAnswerError, OverloadedError, RefusedError, ServerGoneError
from plimsoll.preflight.phases import Context, InterruptedPhaseError, Outcome, Phase
from plimsoll.preflight.witness import model_did_it

_OVERRUN: Final = 3
"""Times its share, and as many answers, that a phase may take. One that takes longer is stuck, which is a bug here:
every request has a deadline, and every phase looks at the clock."""


async def attempt(phase: Phase, session: Session, context: Context) -> Outcome:
    """Runs `phase`.

    Raises:
        PlimsollError: An outage; also what the phase raises of others.
    """
    try:
        async with asyncio.timeout(_OVERRUN * (context.seconds + context.request.request_timeout_s)):
            return await phase(session, context)
    except InterruptedPhaseError as error:
        return await _server_gone(session, context, error.cause), error.figures
    except (ServerGoneError, NoAnswerError) as error:
        return await _server_gone(session, context, error), None
    except RefusedError as error:
        return _refused(context, error), None
    except OverloadedError as error:
        return _overloaded(context, error), None
    except Invalid as error:
        return context.report(PhaseStatus.FAILED, error.reason, error.message), None


async def _server_gone(session: Session, context: Context, error: ServerGoneError | NoAnswerError) -> PhaseReport:
    asked = f"a batch of {error.rows}" if error.rows > 1 else "a single request"
    if not await model_did_it(session, context.request.examiner, context.clock):
        raise PlimsollError(
            "ServerLost",
            f"The model server at {session.address} went away in the phase {context.phase} at {asked} and did not come "
            f"back ({error.message}). The preflight is repeated.",
        ) from error
    if isinstance(error, NoAnswerError):
        return context.report(
            PhaseStatus.FAILED,
            HANGS,
            f"The model gave {error.message} to {asked}. Look at the server's log, or allow smaller batches only.",
        )
    return context.report(
        PhaseStatus.FAILED,
        SERVER_DIED,
        f"The model server died at {asked}: {error.message}. Look at its log and its memory limit, or allow smaller "
        f"batches only.",
    )


def _refused(context: Context, error: RefusedError) -> PhaseReport:
    if context.inputs.generated:
        return context.report(
            PhaseStatus.SKIPPED, "InputsRefused", f"The model refuses generated inputs: {error.message}."
        )
    return context.report(
        PhaseStatus.FAILED, "AnsweredWithError", f"A batch of {error.rows} is answered with an error: {error.message}."
    )


def _overloaded(context: Context, error: OverloadedError) -> PhaseReport:
    """A queue shorter than what this phase sends at once; the phases that reject by default send one at a time."""
    if context.phase in context.request.preflight.enforce:
        raise PlimsollError("Overloaded", f"The server's queue was full in the phase {context.phase}: {error.message}.")
    return context.report(PhaseStatus.SKIPPED, "Overloaded", f"The server's queue was full: {error.message}.")
