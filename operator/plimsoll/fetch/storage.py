"""The space a model may take: what Kubernetes allows the pod, and what the node has left."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from plimsoll.errors import Invalid

RESERVED_BYTES: Final = 16 * 2**20
"""Of the pod's limit, for what is not the model: container logs, golden inputs, scratch files. The kubelet counts them
too and evicts the serving pod a minute after it went over, so a model that only just fits must be refused at once."""

LIMIT_FIELD: Final = "spec.runtime.resources.limits.ephemeral-storage"


class Storage:
    """Counts what is written below one folder against a limit.

    Args:
        root: The folder; the free space of its file system is a limit in any case.
        limit: In bytes; None when the pod has none.
        reserved: Bytes of the limit that the model may not use.
    """

    def __init__(self, root: Path, limit: int | None, reserved: int = 0) -> None:
        self._used = _tree_bytes(root)
        self._reserved = reserved
        self._pod_limit = limit
        self._node_limit = self._used + _free_bytes(root)

    @property
    def remaining(self) -> int:
        """Bytes that may still be written."""
        return self._limit - self._used

    def require(self, size: int) -> None:
        """Refuse before the first byte what cannot fit.

        Raises:
            Invalid: `StorageTooSmall`, with the numbers.
        """
        if size > self.remaining:
            raise self._too_small(self._used + size)

    def wrote(self, size: int) -> None:
        """Count bytes written.

        Raises:
            Invalid: `StorageTooSmall`.
        """
        self._used += size
        if self._used > self._limit:
            raise self._too_small(self._limit + 1)

    def freed(self, size: int) -> None:
        """Count bytes given back."""
        self._used -= size

    @property
    def _limit(self) -> int:
        if self._pod_limit is None:
            return self._node_limit
        return min(self._pod_limit - self._reserved, self._node_limit)

    def _too_small(self, needed: int) -> Invalid:
        needed += self._reserved
        if self._pod_limit is not None and needed > self._pod_limit:
            return Invalid(
                "StorageTooSmall",
                f"The model with its logs needs at least {needed} bytes, but {LIMIT_FIELD} allows {self._pod_limit}. "
                f"Raise it.",
            )
        return Invalid(
            "StorageTooSmall",
            f"The model needs at least {needed} bytes, but the node has {self._node_limit / 2**30:.1f} GiB for it. "
            f"Free space there, or set {LIMIT_FIELD} and its request so that the scheduler chooses a node with room.",
        )


def _free_bytes(root: Path) -> int:
    status = os.statvfs(root)
    return status.f_bavail * status.f_frsize


def disk_full(error: OSError) -> Invalid | None:
    """Translate a full disk; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return Invalid(
        "StorageTooSmall",
        f"The disk of the node is full. Free space there, or set {LIMIT_FIELD} and its request so that the scheduler "
        f"chooses a node with room.",
    )


def _tree_bytes(root: Path) -> int:
    return sum(entry.stat().st_size for entry in root.rglob("*") if entry.is_file() and not entry.is_symlink())
