"""Ways to fail, on purpose, for the next requests that match."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.support.fakeapi.answers import Refusal


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about. `verb` is get, list, watch, create, update, patch, apply or delete."""

    verb: str
    kind: str
    namespace: str
    name: str
    subresource: str
    manager: str


Where: TypeAlias = Callable[[Asked], bool]


class Cut(Exception):  # noqa: N818 - an order
    """Close the connection instead of answering."""


@dataclass
class Fault:
    """One rule; it is used up after `times` requests (`None`: never).

    Attributes:
        done: Set when it is used up.
        hits: Requests it met.
    """

    where: Where
    times: int | None
    refusal: Refusal | None = None
    hang_s: float = 0.0
    cut: bool = False
    after: bool = False
    hits: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Faults:
    """The rules in force, oldest first."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    def fail(
        self,
        status: int,
        *,
        times: int | None = 1,
        reason: str = "InternalError",
        message: str = "injected",
        retry_after: float | None = None,
        where: Where = lambda _: True,
    ) -> Fault:
        """Refuses with that status; nothing is done."""
        return self._add(Fault(where, times, refusal=Refusal(status, reason, message, retry_after=retry_after)))

    def hang(self, seconds: float, *, times: int | None = 1, where: Where = lambda _: True) -> Fault:
        """Answers late."""
        return self._add(Fault(where, times, hang_s=seconds))

    def cut(self, *, times: int | None = 1, after: bool = False, where: Where = lambda _: True) -> Fault:
        """Closes the connection: before anything is done, or `after` the request took effect."""
        return self._add(Fault(where, times, cut=True, after=after))

    def clear(self) -> None:
        """Ends all rules."""
        self._rules.clear()

    async def before(self, asked: Asked) -> Fault | None:
        """Meets a request: fails it here, or returns the rule that must fail it after it took effect."""
        rule = next((rule for rule in self._rules if rule.where(asked)), None)
        if rule is None:
            return None
        self._use(rule)
        if rule.hang_s:
            await asyncio.sleep(rule.hang_s)
        if rule.refusal:
            raise rule.refusal
        if rule.cut and not rule.after:
            raise Cut
        return rule if rule.after else None

    def _add(self, rule: Fault) -> Fault:
        self._rules.append(rule)
        return rule

    def _use(self, rule: Fault) -> None:
        rule.hits += 1
        if rule.times is not None and rule.hits >= rule.times:
            self._rules.remove(rule)
            rule.done.set()
