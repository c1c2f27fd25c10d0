"""A real Redis on loopback, from Debian's packages, and gateways' connections to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.support.controller_process import free_port
from tests.support.http_gateway import until

from plimsoll.errors import Invalid
from plimsoll.gateway.cache.remote.link import Direction
from plimsoll.gateway.cache.remote.store import RemoteStore
from plimsoll.gateway.config import RedisSettings
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.unpacked import TESTS, Program, programs

_LIMIT_S = 30.0
"""Only bounds a failing test."""


@cache
def _programs() -> Mapping[str, Program]:
    try:
        return programs(TESTS, Progress())
    except Invalid as invalid:
        if os.environ.get("CI"):
            raise
        pytest.skip(invalid.message)


@dataclass
class RedisServer:
    """One that may come and go, with nothing in it each time it comes."""

    folder: Path
    settings: tuple[str, ...]
    port: int
    tls: bool = False
    login: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis{'s' if self.tls else ''}://localhost:{self.port}"

    def start(self) -> None:
        program = _programs()["redis-server"]
        listening = ("--port", "0", "--tls-port") if self.tls else ("--port",)
        fixed = ("--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder))
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program.path, *listening, str(self.port), *fixed, *self.settings],
                env={**os.environ, **program.environment},
                stdout=log,
            )
        until_s = time.monotonic() + _LIMIT_S
        while not self._listens():
            assert self.process.poll() is None, (self.folder / "redis.log").read_text(encoding="utf-8")
            assert time.monotonic() < until_s
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait()

    def say(self, *parts: str, value: bytes | None = None) -> bytes:
        """Gives it a command by its own client; `value` is the last argument."""
        program = _programs()["redis-cli"]
        command = [program.path, "-p", str(self.port), *self.login, *(["-x"] if value is not None else []), *parts]
        environment = {**os.environ, **program.environment}
        done = subprocess.run(command, input=value, env=environment, capture_output=True, check=True)
        return done.stdout.removesuffix(b"\n")

    def names(self) -> list[str]:
        """Under which anything lies."""
        return sorted(self.say("KEYS", "*").decode().split())


@contextmanager
def redis_server(folder: Path, *settings: str, tls: bool = False, login: tuple[str, ...] = ()) -> Iterator[RedisServer]:
    """Runs while the context lasts, unless the test kills it."""
    server = RedisServer(folder, settings, free_port(), tls, login)
    server.start()
    try:
        yield server
    finally:
        assert server.process
        server.process.kill()
        server.process.wait()


@asynccontextmanager
async def store_at(
    url: str, *, connects: bool = True, answer_s: float = 5.0, **settings: Any
) -> AsyncIterator[RemoteStore]:
    """A gateway's connections to a store; `connects` waits for both. It is patient, as the machine may be busy."""
    store = RemoteStore(RedisSettings(url=url, **settings), time.monotonic, lambda: 0.0, answer_s)
    running = asyncio.create_task(store.run())
    try:
        if connects:
            await until(lambda: connected(store))
        yield store
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def connected(store: RemoteStore) -> bool:
    return all(store.connected(direction) for direction in Direction)
