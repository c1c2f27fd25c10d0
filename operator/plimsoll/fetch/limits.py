"""Every bound fetch keeps, in one place. Tests shorten the waits; nothing else changes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHUNK_BYTES: Final = 2**20  # large enough that system calls do not count, small enough to be nothing in memory
MAX_MANIFEST_BYTES: Final = 4 * 2**20  # what registries themselves accept
MAX_TOKEN_BYTES: Final = 2**20
MAX_ENTRIES: Final = 10_000  # files and folders in one artefact
MAX_PATH_LENGTH: Final = 1024
MAX_PATH_DEPTH: Final = 32
MAX_SMALL_FILE_BYTES: Final = 16 * 2**20  # golden.json and config.pbtxt, the only files read as a whole
MAX_REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits, in seconds."""

    connect: float = 10
    read: float = 30  # without a byte on an open connection
    stall: float = 60  # without a byte at all, retries included: then the pod's restart takes over
    first_backoff: float = 0.5
    longest_backoff: float = 8
    report_every: float = 5


PATIENCE: Final = Patience()
