"""What fetch tells while it works: log lines for people, the termination message for the controller."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from plimsoll.errors import Invalid, NotYet, PlimsollError

# Kubernetes shares 12 KiB among all containers of a pod; JSON that was cut cannot be read.
MAX_MESSAGE_BYTES: Final = 2048

_logger = logging.getLogger("plimsoll.fetch")


def log(event: str, **fields: Any) -> None:
    """Write one line: a constant event name and its values."""
    _logger.info(event, extra={"fields": fields})


class KeyValueFormatter(logging.Formatter):
    """`time level event key=value ...`, values in JSON where they are not plain."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        pairs = "".join(f" {key}={_plain(value)}" for key, value in fields.items())
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        return f"{when} {record.levelname.lower()} {record.getMessage()}{pairs}"


def configure_logging() -> None:
    """Log to standard error; httpx stays silent since its lines hold URLs, and URLs may hold signatures."""
    handler = logging.StreamHandler()
    handler.setFormatter(KeyValueFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


class TerminationMessage:
    """The file Kubernetes shows as the container's last words; rewritten while working, so that a kill leaves news."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fetching(self, received: int) -> None:
        """Say that bytes are still coming."""
        self._write(
            {
                "kind": "NotYet",
                "reason": "Fetching",
                "message": "The model was still being fetched.",
                "bytes": received,
                "progressed": received > 0,
            }
        )

    def fetched(self, **facts: Any) -> None:
        """Say what was brought."""
        self._write({"kind": "Fetched", **facts})

    def failed(self, error: BaseException, received: int) -> None:
        """Say why nothing was brought; the message of an unexpected error stays in the log."""
        match error:
            case Invalid():
                kind, reason, message = "Invalid", error.reason, error.message
            case NotYet():
                kind, reason, message = "NotYet", error.reason, error.message
            case PlimsollError():
                kind, reason, message = "Error", error.reason, error.message
            case _:
                kind, reason = "Error", type(error).__name__
                message = "fetch ended unexpectedly; its log has the details."
        self._write({"kind": kind, "reason": reason, "message": message, "bytes": received, "progressed": received > 0})

    def _write(self, content: dict[str, Any]) -> None:
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        while len(data) > MAX_MESSAGE_BYTES and content.get("message"):
            excess = len(data) - MAX_MESSAGE_BYTES
            content = {**content, "message": content["message"][: -(excess + 1)]}
            data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        # Outside a pod there is no such file; inside it cannot be replaced, only rewritten.
        with suppress(OSError):
            self._path.write_bytes(data)


class Progress:
    """Counts bytes and says so every few seconds: one log line and the termination message.

    Args:
        message: Where to leave news; None outside a pod.
        every: Seconds between two reports.
        clock: Monotonic seconds.
    """

    def __init__(
        self, message: TerminationMessage | None, every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._message = message
        self._every = every
        self._clock = clock
        self._started = self._reported = clock()
        self._total: int | None = None
        self._kept = 0
        self.received = 0

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def expect(self, total: int) -> None:
        """Say how many bytes the whole model has."""
        self._total = total

    def keep(self, size: int) -> None:
        """Count bytes an earlier attempt left behind (negative: that were thrown away)."""
        self._kept += size

    def add(self, size: int) -> None:
        """Count bytes that arrived."""
        self.received += size
        now = self._clock()
        if now - self._reported >= self._every:
            self._reported = now
            self._report()

    def _report(self) -> None:
        rate = self.received / max(self.seconds, 1e-3)
        done = self.received + self._kept
        fields: dict[str, Any] = {"bytes": done, "rate_bytes_per_second": round(rate)}
        if self._total:
            fields["percent"] = round(100 * done / self._total, 1)
            fields["eta_seconds"] = round(max(self._total - done, 0) / max(rate, 1))
        log("download_progress", **fields)
        if self._message is not None:
            self._message.fetching(self.received)


def _plain(value: Any) -> str:
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)
