"""What a gateway guards itself with, kept at what is mounted: its certificate and the keys that it takes.

Looked at every two seconds, in a thread: a Secret with thousands of keys takes a while to read. What cannot be used is
said once, and what was in use stays.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from plimsoll.core.access.keyring import KeyRing, read_keys
from plimsoll.gateway.access import Access
from plimsoll.gateway.config import GatewayConfig, KeySettings, TlsSettings
from plimsoll.gateway.doors import Door, PlainDoor
from plimsoll.gateway.mounted import MountedFolder
from plimsoll.gateway.tls import AUTHORITIES_FILE, Application, Certificate, Unusable, load_certificate
from plimsoll.gateway.tls_door import Arrival, TlsDoor
from plimsoll.monitoring.guard_metrics import GuardFigures

_log = logging.getLogger(__name__)

PERIOD_S: Final = 2.0
"""Far below the minute that the kubelet takes to bring a change of a Secret into a pod."""
_TOLD: Final = 5


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CertificateGuard:
    """The certificate in use, from the folders of one or two Secrets.

    Attributes:
        current: In use; None before there was one.
        problem: A sentence: why what is mounted is not in use, or why clients refuse it; empty where all is well.
    """

    def __init__(self, settings: TlsSettings, now: Callable[[], datetime] = _utc_now) -> None:
        self.current: Certificate | None = None
        self.problem = ""
        self._secret = settings.secret
        self._now = now
        self._mounted = MountedFolder(Path(settings.folder))
        self._folder = Path(settings.folder)
        self._authorities_of = MountedFolder(Path(settings.client_folder)) if settings.client_folder else None
        self._authorities: bytes | None = None
        self._again = False

    def look(self) -> bool:
        """Reads what has changed; returns whether something else is in use, or the problem another one."""
        before = (self.current, self.problem)
        try:
            if self._moved() or self._again:
                self._take(load_certificate(self._folder, self._authorities))
        except (OSError, Unusable) as error:
            # A folder that vanished while it was read has a successor, which is taken for new anyway.
            self._again = isinstance(error, OSError)
            self.problem = self._said(str(error))
        return (self.current, self.problem) != before

    def _moved(self) -> bool:
        content = self._mounted.changed()
        if content is not None:
            self._folder = content.folder
        authorities = self._authorities_of.changed() if self._authorities_of is not None else None
        if authorities is not None:
            self._authorities = authorities.files.get(AUTHORITIES_FILE, b"")
        return content is not None or authorities is not None

    def _take(self, fresh: Certificate) -> None:
        now = self._now()
        fault = fresh.fault_at(now)
        # One that clients refuse today may be good tomorrow.
        self._again = bool(fault)
        if fault and self.current is not None and not self.current.fault_at(now):
            self.problem = self._said(fault)
            return
        self.current = fresh
        self.problem = f"Secret {self._secret}: {fault}, so clients refuse it; renew it." if fault else ""

    def _said(self, why: str) -> str:
        sentence = f"Secret {self._secret} cannot be used: {why}."
        if self.current is None:
            return f"{sentence} Without a certificate nobody is let in."
        return f"{sentence} The certificate that ends at {self.current.ends_at.isoformat()} stays in use."


class KeyGuard:
    """The keys in use, from the folder of a Secret.

    Attributes:
        ring: In use; None before there was one with a key.
        problem: A sentence: what of the Secret is not in use; empty where all is.
    """

    def __init__(self, settings: KeySettings) -> None:
        self.ring: KeyRing | None = None
        self.problem = ""
        self._secret = settings.secret
        self._mounted = MountedFolder(Path(settings.folder))

    def look(self) -> bool:
        """Reads what has changed; returns whether other keys are in use, or the problem another one."""
        before = (self.ring, self.problem)
        try:
            content = self._mounted.changed()
        except OSError as error:
            kept = "The keys that were read before stay valid." if self.ring else "Without keys nobody is let in."
            self.problem = f"Secret {self._secret} cannot be read: {error}. {kept}"
            return (self.ring, self.problem) != before
        if content is not None:
            read = read_keys(content.files)
            if read.ring.keys or self.ring is not None:
                # Also where it holds none any more: whoever takes the last key away means it.
                self.ring = read.ring
            self.problem = self._said(read.ring, read.problems)
        return (self.ring, self.problem) != before

    def _said(self, ring: KeyRing, problems: tuple[str, ...]) -> str:
        more = [f"And {len(problems) - _TOLD} more."] if len(problems) > _TOLD else []
        if not ring.keys:
            return " ".join([f"Secret {self._secret} holds no key, so nobody is let in.", *problems[:_TOLD], *more])
        if not problems:
            return ""
        return " ".join([f"Secret {self._secret} has entries that are no keys.", *problems[:_TOLD], *more])


class Guards:
    """Both, as a gateway has them.

    Args:
        config: Which of them are wanted.
        period_s: How often to look.

    Attributes:
        access: Whose requests are let in; None where keys are not asked for.
    """

    def __init__(self, config: GatewayConfig, *, period_s: float = PERIOD_S) -> None:
        self._certificate = CertificateGuard(config.tls) if config.tls else None
        self._keys = KeyGuard(config.keys) if config.keys else None
        self._plain_text = config.tls is not None and config.tls.plain_text
        self._period_s = period_s
        self._arrivals: Counter[tuple[str, Arrival]] = Counter()
        self._prepared = asyncio.Event()
        self.access = Access() if config.keys else None
        if not self._watched():
            self._prepared.set()

    async def prepared(self) -> None:
        """Returns when there is a certificate and a key, as far as they are wanted: before, nobody could be let in."""
        await self._prepared.wait()

    def unready(self) -> str:
        """Returns what is waited for; empty where nothing is."""
        return "" if self._prepared.is_set() else " ".join(filter(None, (guard.problem for guard in self._watched())))

    def door(self, application: Application, told: bytes) -> Door:
        """Returns what a port is opened with.

        Args:
            application: What is spoken behind it.
            told: What somebody gets who speaks plain text where that does not pass.
        """
        guard = self._certificate
        if guard is None:
            return PlainDoor()

        def context() -> ssl.SSLContext:
            assert guard.current is not None  # noqa: S101 - no port is opened before `prepared`
            return guard.current.contexts[application]

        def noted(arrival: Arrival) -> None:
            self._arrivals[application.value, arrival] += 1

        return TlsDoor(context, None if self._plain_text else told, noted)

    async def run(self) -> None:
        """Follows what is mounted until cancelled; returns at once where nothing is wanted."""
        while watched := self._watched():
            for guard in watched:
                if await asyncio.to_thread(guard.look):
                    self._follow(guard)
            if self._complete():
                self._prepared.set()
            await asyncio.sleep(self._period_s)

    def figures(self) -> GuardFigures:
        """Returns what metrics say."""
        certificate, keys, access = self._certificate, self._keys, self.access
        current = certificate.current if certificate else None
        return GuardFigures(
            certificate_ends_at=current.ends_at.timestamp() if current else None,
            problems={
                **({"tls": bool(certificate.problem)} if certificate else {}),
                **({"keys": bool(keys.problem)} if keys else {}),
            },
            keys=len(keys.ring.keys) if keys and keys.ring else 0,
            uses=access.uses() if access else {},
            denials={(protocol, reason.value): n for (protocol, reason), n in access.denials.items()} if access else {},
            arrivals={(protocol, arrival.value): n for (protocol, arrival), n in self._arrivals.items()},
        )

    def _watched(self) -> list[CertificateGuard | KeyGuard]:
        return [guard for guard in (self._certificate, self._keys) if guard is not None]

    def _complete(self) -> bool:
        certificate, keys = self._certificate, self._keys
        return (certificate is None or certificate.current is not None) and (keys is None or keys.ring is not None)

    def _follow(self, guard: CertificateGuard | KeyGuard) -> None:
        if isinstance(guard, KeyGuard):
            if guard.ring is not None and self.access is not None:
                self.access.replace(guard.ring)
            used: object = len(guard.ring.keys) if guard.ring else 0
        else:
            used = f"{guard.current.names}, until {guard.current.ends_at.isoformat()}" if guard.current else "none"
        name = "keys" if isinstance(guard, KeyGuard) else "tls"
        if guard.problem:
            _log.warning("guard.problem", extra={"guard": name, "why": guard.problem, "in_use": used})
        else:
            _log.info("guard.loaded", extra={"guard": name, "in_use": used})
