"""Which modules the image compiles, and whether they are compiled here.

What runs for every request or frame is compiled with mypyc where the image is built. The sources stay what they are:
from a checkout the same modules run interpreted. Only speed may depend on it, so a gateway tells which it is.

Where mypyc 2.4 differs from Python, which they keep clear of: `bytes` sliced from an offset behind the slice's end
raises SystemError; nothing interpreted inherits from their classes; arguments of another type than annotated raise
TypeError; replacing a function or class of such a module from outside does not reach its callers within.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Final

MODULES: Final[Sequence[str]] = (
    "plimsoll.core.routing.queueing",
    "plimsoll.core.routing.split",
    "plimsoll.core.routing.table",
    "plimsoll.gateway.http1.addressing",
    "plimsoll.gateway.http1.answer_head",
    "plimsoll.gateway.http1.asker",
    "plimsoll.gateway.http1.attempts",
    "plimsoll.gateway.http1.bodies",
    "plimsoll.gateway.http1.checked_answers",
    "plimsoll.gateway.http1.client",
    "plimsoll.gateway.http1.credentials",
    "plimsoll.gateway.http1.exchange",
    "plimsoll.gateway.http1.failures",
    "plimsoll.gateway.http1.fields",
    "plimsoll.gateway.http1.limits",
    "plimsoll.gateway.http1.look",
    "plimsoll.gateway.http1.outcomes",
    "plimsoll.gateway.http1.own_answers",
    "plimsoll.gateway.http1.pool",
    "plimsoll.gateway.http1.refusals",
    "plimsoll.gateway.http1.remembered",
    "plimsoll.gateway.http1.request_head",
    "plimsoll.gateway.http1.shared",
    "plimsoll.gateway.http1.standing_in",
    "plimsoll.gateway.http1.upstream",
    "plimsoll.gateway.http1.waiting",
    "plimsoll.gateway.http1.whole_messages",
    "plimsoll.gateway.http2.abuse",
    "plimsoll.gateway.http2.attempts",
    "plimsoll.gateway.http2.call",
    "plimsoll.gateway.http2.checked_answers",
    "plimsoll.gateway.http2.client_connection",
    "plimsoll.gateway.http2.connection",
    "plimsoll.gateway.http2.credentials",
    "plimsoll.gateway.http2.deadlines",
    "plimsoll.gateway.http2.exchange",
    "plimsoll.gateway.http2.flow",
    "plimsoll.gateway.http2.frames",
    "plimsoll.gateway.http2.headers",
    "plimsoll.gateway.http2.heads",
    "plimsoll.gateway.http2.inbound",
    "plimsoll.gateway.http2.look",
    "plimsoll.gateway.http2.methods",
    "plimsoll.gateway.http2.model_name",
    "plimsoll.gateway.http2.naming",
    "plimsoll.gateway.http2.refusals",
    "plimsoll.gateway.http2.replay",
    "plimsoll.gateway.http2.streams",
    "plimsoll.gateway.http2.switchboard",
    "plimsoll.gateway.http2.upstream_connection",
    "plimsoll.gateway.http2.upstream_pool",
    "plimsoll.gateway.http2.violations",
    "plimsoll.gateway.http2.waiting",
    "plimsoll.gateway.inspected",
    "plimsoll.gateway.inspection",
    "plimsoll.gateway.looked",
    "plimsoll.gateway.queue",
    "plimsoll.gateway.recording",
    "plimsoll.gateway.repeated",
    "plimsoll.gateway.request_log",
    "plimsoll.gateway.targets",
    "plimsoll.gateway.watch",
)
"""All of them are one compilation unit: a call between them costs what a call in C costs."""


class Form(StrEnum):
    """How the hot path runs."""

    COMPILED = "compiled"
    INTERPRETED = "interpreted"
    MIXED = "partly compiled"
    """A build that went wrong."""


def form(modules: Sequence[str] = MODULES) -> Form:
    """Returns how these modules run; imports none of them, only the packages that they are in."""
    compiled = sum(_is_compiled(module) for module in modules)
    if compiled == len(modules):
        return Form.COMPILED
    return Form.MIXED if compiled else Form.INTERPRETED


def _is_compiled(module: str) -> bool:
    found = find_spec(module)
    return found is not None and (found.origin or "").endswith(tuple(EXTENSION_SUFFIXES))
