"""Resident memory of the model server: all its processes, since a Python model's memory is in a stub of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol, Self

import httpx

from plimsoll.errors import PlimsollError
from plimsoll.preflight.processes import PROC, gpu_bytes, resident_bytes

HOST: Final = "host"
_TIMEOUT_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 1 << 20


class MemoryReader(Protocol):
    """Who can see the server's processes."""

    async def read(self) -> Mapping[str, int]:
        """Returns resident bytes by device: `host`, and `gpu0`, `gpu1`, … where there are any.

        Raises:
            PlimsollError: `MemoryUnreadable`.
        """
        ...

    async def close(self) -> None:
        """Lets go of what the reader holds."""
        ...


class LocalProcesses:
    """A server on this machine: one process and all that descend from it."""

    def __init__(self, process_id: int, metrics_url: str = "", proc: Path = Path(PROC)) -> None:
        """`metrics_url` is Triton's page of metrics, which knows the GPUs; none is asked where it is empty."""
        self._process_id = process_id
        self._metrics_url = metrics_url
        self._proc = proc

    async def read(self) -> Mapping[str, int]:
        """Returns the sum over the processes that are there now."""
        sizes = [resident_bytes(str(self._proc), process) for process in self._tree()]
        if not any(sizes):
            raise PlimsollError("MemoryUnreadable", f"Process {self._process_id} has no memory: it ended.")
        return {HOST: sum(size or 0 for size in sizes), **await self._gpus()}

    async def close(self) -> None:
        """Nothing is held."""

    def _tree(self) -> list[str]:
        parents = {process: _parent(self._proc, process) for process in _process_ids(self._proc)}
        tree = [str(self._process_id)]
        for process in tree:  # grows while it is walked
            tree += [child for child, parent in parents.items() if parent == process]
        return tree

    async def _gpus(self) -> Mapping[str, int]:
        if not self._metrics_url:
            return {}
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
            try:
                page = (await client.get(self._metrics_url)).text
            except httpx.HTTPError as error:
                raise PlimsollError("MemoryUnreadable", f"{self._metrics_url} does not answer: {error}.") from error
        return dict(gpu_bytes(page))


class HttpExaminer:
    """A server in a pod, seen by the examiner beside it (examiner.py)."""

    def __init__(self, url: str, token: str) -> None:
        """`url` is the examiner's base URL; `token` is what it expects of us."""
        self._url = f"{url.rstrip('/')}/memory"
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self) -> Mapping[str, int]:
        """Asks the examiner."""
        try:
            answer = await self._client.get(self._url)
        except httpx.HTTPError as error:
            raise _unreadable(f"does not answer ({type(error).__name__})") from error
        if not answer.is_success:
            raise _unreadable(f"answers {answer.status_code}")
        if len(answer.content) > _MAX_ANSWER_BYTES:
            raise _unreadable(f"answers {len(answer.content)} bytes")
        return _sizes(answer.content)

    async def close(self) -> None:
        """Closes the connection."""
        await self._client.aclose()


def _sizes(content: bytes) -> Mapping[str, int]:
    """Reads `{"processes": [{"name", "resident_bytes"}], "gpus": [{"name", "used_bytes"}]}`."""
    try:
        document: dict[str, Any] = json.loads(content)
        host = sum(int(process["resident_bytes"]) for process in document["processes"])
        gpus = {str(gpu["name"]): int(gpu["used_bytes"]) for gpu in document.get("gpus", [])}
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable("answers something else than memory") from error
    if host <= 0:
        raise _unreadable("sees no process: the pod does not share its process namespace")
    return {HOST: host, **gpus}


def _unreadable(what: str) -> PlimsollError:
    return PlimsollError("MemoryUnreadable", f"The examiner beside the model server {what}.")


def _process_ids(proc: Path) -> list[str]:
    return [entry.name for entry in proc.iterdir() if entry.name.isdecimal()]


def _parent(proc: Path, process: str) -> str:
    try:
        stat = (proc / process / "stat").read_text()
    except OSError:
        return ""  # it ended meanwhile
    return stat.rpartition(")")[2].split()[1]  # the name before may hold anything, brackets too
