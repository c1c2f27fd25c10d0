"""`plimsoll gateway` as a process of its own, as it runs in a pod."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.controller_process import ROOT, free_port

from plimsoll.core.tokens import public_key

_LIMIT_S = 60.0
"""Only bounds a failing test."""


CONTROLLER_SEED = bytes(range(32))
"""The private key of the controller that may read its records."""


@dataclass
class GatewayProcess:
    """A gateway under way."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer of the admin port; status 0 when it does not listen."""
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.port}{path}")
            except httpx.TransportError:
                return 0, ""
            return answer.status_code, answer.text

    async def routes(self) -> Any:
        """The models in `/v1/routes`."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{self.port}/v1/routes")).json()["models"]

    async def answers(self, path: str, status: int) -> str:
        """Waits until a path of the admin port has that status, and returns the body."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                assert self.process.returncode is None, f"it has ended:\n{self.log.read_text(encoding='utf-8')}"
                found, body = await self.get(path)
                if found == status:
                    return body
                await asyncio.sleep(0.02)

    async def ends(self, number: signal.Signals | None = None) -> int:
        """Sends a signal, if one is given, and returns the exit code."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(_LIMIT_S):
            return await self.process.wait()

    async def says(self, event: str) -> None:
        """Waits until it has logged that."""
        async with asyncio.timeout(_LIMIT_S):
            while f'"event": "{event}"' not in self.log.read_text(encoding="utf-8"):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)


@asynccontextmanager
async def gateway_process(
    kubeconfig: Path, namespace: str, *, program: tuple[str, ...] = ("-m", "plimsoll", "gateway"), **settings: Any
) -> AsyncIterator[GatewayProcess]:
    """Runs one; settings are those of its configuration file."""
    port = free_port()
    config = kubeconfig.with_name(f"gateway-{port}.yaml")
    log = kubeconfig.with_name(f"gateway-{port}.log")
    ports = {"adminPort": port, "httpPort": free_port(), "grpcPort": free_port()}
    config.write_text(yaml.safe_dump({**ports, **settings}), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}",
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": namespace,
        "POD_NAME": f"gateway-{port}",
        "POD_UID": f"uid-{port}",
        "PLIMSOLL_CONTROLLER_KEY": public_key(CONTROLLER_SEED),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *program, "--config", str(config)), env=environment, cwd=ROOT, stderr=output
        )
    try:
        yield GatewayProcess(process, port, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
