"""How the gateway comes to the store: a connection, with TLS and credentials as they are mounted at that moment."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from plimsoll.core.cache.remote_address import RemoteAddress, address_of
from plimsoll.core.cache.resp import ErrorReply, Reply, command
from plimsoll.gateway.cache.remote.wire import Wire
from plimsoll.gateway.config import RedisSettings
from plimsoll.gateway.mounted import MountedFolder

CONNECT_S: Final = 1.0
"""For all of it. No request waits for a connection."""
_USER, _PASSWORD, _AUTHORITIES = "username", "password", "ca.crt"
_WRONG: Final = frozenset({"WRONGPASS", "NOAUTH", "NOPERM", "ERR"})


class Unreachable(Exception):  # noqa: N818 - as one says it
    """There is no connection; the message says why, without any secret."""


class Login:
    """Makes connections. Each reads what is mounted anew, so that a changed Secret holds from the next one on.

    Args:
        settings: Where, and with which Secrets.

    Attributes:
        address: Where.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.address: RemoteAddress = address_of(settings.url)
        self._settings = settings
        self._secret = _Mounted(settings.folder) if settings.folder else None
        self._authorities = _Mounted(settings.ca_folder) if settings.ca_folder else None

    async def connect(self, lost: Callable[[str, bool], None]) -> Wire:
        """Returns a connection that is ready for commands.

        Args:
            lost: As `Wire` takes it; not called where this raises.

        Raises:
            Unreachable: There is none.
        """
        opened = False

        def told(why: str, idle: bool) -> None:  # noqa: FBT001 - as `Wire` calls it
            if opened:
                lost(why, idle)

        wire = Wire(told)
        try:
            async with asyncio.timeout(CONNECT_S):
                hello = await asyncio.to_thread(self._hello)
                context = await asyncio.to_thread(self._context) if self.address.tls else None
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: wire, self.address.host, self.address.port, ssl=context)
                for said in hello:
                    _check(await _reply(wire, said), self._settings.secret)
        except BaseException as error:
            wire.fail("it is not wanted any more")
            why = _why(error)
            if why:
                raise Unreachable(why) from None  # What is told is all: a traceback might show credentials.
            raise
        opened = True
        return wire

    def _hello(self) -> list[bytes]:
        said = []
        if self._secret is not None:
            files = self._secret.files(self._settings.secret)
            user, password = (files.get(name, b"").strip() for name in (_USER, _PASSWORD))
            if not password:
                raise Unreachable(f"Secret {self._settings.secret} has no entry '{_PASSWORD}'")
            said.append(command(b"AUTH", user, password) if user else command(b"AUTH", password))
        if self.address.database:
            said.append(command(b"SELECT", b"%d" % self.address.database))
        return [*said, command(b"PING")]

    def _context(self) -> ssl.SSLContext:
        if self._authorities is None:
            return ssl.create_default_context()
        secret = self._settings.ca_secret
        authorities = self._authorities.files(secret).get(_AUTHORITIES, b"")
        try:
            return ssl.create_default_context(cadata=authorities.decode("ascii"))
        except ValueError as error:  # ssl.SSLError, and what is no ASCII
            raise Unreachable(f"Secret {secret} has no certificates in its entry '{_AUTHORITIES}'") from error


class _Mounted:
    def __init__(self, folder: str) -> None:
        self._folder = MountedFolder(Path(folder))
        self._files: dict[str, bytes] = {}

    def files(self, secret: str) -> dict[str, bytes]:
        try:
            content = self._folder.changed()
        except OSError as error:
            raise Unreachable(f"Secret {secret} cannot be read: {error.strerror}") from error
        if content is not None:
            self._files = content.files
        return self._files


async def _reply(wire: Wire, said: bytes) -> Reply:
    came: asyncio.Future[list[Reply] | None] = asyncio.get_running_loop().create_future()

    def done(replies: list[Reply] | None) -> None:
        if not came.done():
            came.set_result(replies)

    wire.send(said, 1, CONNECT_S, done)
    replies = await came
    if replies is None:
        raise Unreachable("it closed the connection, or does not speak as a store does")
    return replies[0]


def _check(reply: Reply, secret: str) -> None:
    if isinstance(reply, ErrorReply):
        login = f"; look at Secret {secret}" if secret else "; it may want credentials: set secretName"
        raise Unreachable(f"it answers {reply.code}{login if reply.code in _WRONG else ''}")
    if reply not in {b"OK", b"PONG"}:
        raise Unreachable("it does not speak as a store does")


def _why(error: BaseException) -> str:
    """Returns what is said about a failure; empty where it is none of the store's."""
    match error:
        case Unreachable():
            why = str(error)
        case TimeoutError():
            why = f"no connection within {CONNECT_S:g} s"
        case ssl.SSLCertVerificationError():
            why = f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            why = f"no TLS connection: {error.reason}"
        case OSError():
            why = f"no connection: {error.strerror or type(error).__name__}"
        case Exception():
            why = f"no connection: {type(error).__name__}"
        case _:
            why = ""
    return why
