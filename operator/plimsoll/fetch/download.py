"""Bring one file: hashed while it streams, continued after a break, given up when nothing moves."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from plimsoll.errors import Invalid
from plimsoll.fetch import digests
from plimsoll.fetch.limits import Patience
from plimsoll.fetch.report import log
from plimsoll.fetch.storage import disk_full
from plimsoll.fetch.transport import Transient, check_status
from plimsoll.fetch.workspace import Work

if TYPE_CHECKING:
    import httpx

Opener = Callable[[Mapping[str, str]], AbstractContextManager["httpx.Response"]]
_PARTIAL_CONTENT: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file: `what` names it in messages; `size` is None when only the server knows it."""

    what: str
    digest: str
    size: int | None


def download(opener: Opener, wanted: Wanted, work: Work) -> Path:
    """Bring a file into the workspace under its digest and return its path.

    Args:
        opener: Opens a GET with the headers given.
        wanted: What to bring.
        work: Where to, and within which bounds.

    Raises:
        Invalid: `DigestMismatch`, `StorageTooSmall`, and what `check_status` raises.
        NotYet: `RegistryUnavailable`.
    """
    final = work.workspace.blobs / wanted.digest.removeprefix(digests.PREFIX)
    if final.exists():  # renamed only after its digest was right
        work.progress.keep(final.stat().st_size)
        return final
    with _Partial(final.with_suffix(".part"), wanted.size, work) as partial:
        _complete(partial, opener, wanted, work)
        partial.publish(final)
    return final


class Waits:
    """Doubles the wait after every failure without a byte; ends when nothing moved for `patience.stall` seconds."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._last_byte = time.monotonic()
        self._backoff = patience.first_backoff

    def progressed(self) -> None:
        """Note that a byte arrived."""
        self._last_byte = time.monotonic()
        self._backoff = self._patience.first_backoff

    def after(self, failure: Transient) -> None:
        """Sleep before the next attempt.

        Raises:
            NotYet: `RegistryUnavailable`.
        """
        delay = max(self._backoff, failure.retry_after)
        if time.monotonic() + delay - self._last_byte > self._patience.stall:
            raise failure.not_yet() from failure
        log("download_retry", reason=failure.message, wait_seconds=delay)
        time.sleep(delay)
        self._backoff = min(self._backoff * 2, self._patience.longest_backoff)


def _complete(partial: _Partial, opener: Opener, wanted: Wanted, work: Work) -> None:
    """Fetch until the digest is right.

    Pieces of different ages may be parts of different files: a wrong digest counts only for a file fetched in one
    go, or for the second one fetched in pieces.
    """
    waits = Waits(work.patience)
    in_pieces = partial.written > 0
    started_over = False
    while True:
        try:
            if partial.written != wanted.size:
                _attempt(partial, opener, wanted, work, waits)
        except Transient as failure:
            in_pieces = True
            waits.after(failure)
            continue
        if partial.digest() == wanted.digest:
            return
        found = partial.digest()
        partial.restart()
        if started_over or not in_pieces:
            raise digests.mismatch(wanted.what, wanted.digest, found)
        started_over, in_pieces = True, False


def _attempt(partial: _Partial, opener: Opener, wanted: Wanted, work: Work, waits: Waits) -> None:
    with opener(partial.range_headers()) as response:
        check_status(response, wanted.what)
        total = _align(partial, response)
        if total is not None:
            _check_size(wanted, total)
            if wanted.size is None:
                work.storage.require(total - partial.written)
                work.progress.expect(total)
        for chunk in response.iter_raw():
            waits.progressed()
            partial.write(chunk)
            _check_size(wanted, partial.written, growing=True)
    if total is not None and partial.written < total:
        raise Transient(f"{wanted.what} ended before its {total} bytes.")


def _align(partial: _Partial, response: httpx.Response) -> int | None:
    """Make the file end where the answer begins; return the whole size when the server tells it."""
    if response.status_code == _RANGE_NOT_SATISFIABLE:
        partial.restart()
        raise Transient("The server does not have the range an earlier attempt stopped at.")
    if response.status_code == _PARTIAL_CONTENT:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(partial.written):
            partial.restart()
            raise Transient("The server answered with another range than the one asked for.")
        return int(total) if total.isascii() and total.isdigit() else None
    partial.restart()
    partial.remember(response.headers.get("ETag", ""))
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _check_size(wanted: Wanted, size: int, *, growing: bool = False) -> None:
    if wanted.size is None or size == wanted.size or (growing and size < wanted.size):
        return
    raise Invalid(
        "DigestMismatch", f"{wanted.what} is larger or smaller than the {wanted.size} bytes its manifest promises."
    )


class _Partial:
    """A file that is being written, its running hash, and the ETag it began with."""

    def __init__(self, path: Path, size: int | None, work: Work) -> None:
        self._path = path
        self._work = work
        self._etag_path = path.with_suffix(".etag")
        self._file = path.open("a+b")
        self._hasher = hashlib.sha256()
        self.written = 0
        self._resume(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _resume(self, size: int | None) -> None:
        left = self._path.stat().st_size
        if left:
            log("download_resumed", bytes=left)
        self._file.seek(0)
        for chunk in digests.chunks(self._file):
            self._hasher.update(chunk)
            self.written += len(chunk)
        self._work.progress.keep(self.written)
        if size is not None and self.written > size:
            self.restart()

    def range_headers(self) -> dict[str, str]:
        """Ask for the rest; a changed file is then sent whole. Weak ETags cannot guard a range."""
        if not self.written:
            return {}
        headers = {"Range": f"bytes={self.written}-"}
        etag = self._etag_path.read_text() if self._etag_path.exists() else ""
        if etag.startswith('"'):
            headers["If-Range"] = etag
        return headers

    def remember(self, etag: str) -> None:
        self._etag_path.write_text(etag)

    def write(self, chunk: bytes) -> None:
        self._work.storage.wrote(len(chunk))
        try:
            self._file.write(chunk)
        except OSError as error:
            raise disk_full(error) or error from error
        self._hasher.update(chunk)
        self.written += len(chunk)
        self._work.progress.add(len(chunk))

    def restart(self) -> None:
        """Throw away what was written."""
        self._file.truncate(0)
        self._file.seek(0)
        self._hasher = hashlib.sha256()
        self._work.storage.freed(self.written)
        self._work.progress.keep(-self.written)
        self.written = 0

    def digest(self) -> str:
        return digests.PREFIX + self._hasher.hexdigest()

    def publish(self, final: Path) -> None:
        """Make the file durable, then visible under its digest."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_full(error) or error from error
        self._path.rename(final)
        self._etag_path.unlink(missing_ok=True)
