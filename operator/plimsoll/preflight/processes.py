"""What `/proc` and Triton's metrics say about memory.

Imports nothing but `os`: the examiner, which stays resident in every model pod, uses it.
"""

from __future__ import annotations

import os

PROC = "/proc"
_GPU_METRIC = "nv_gpu_memory_used_bytes{"


def resident_bytes(proc: str, process: str) -> int | None:
    """Returns the resident memory of a process; None when it ended or is a kernel thread.

    `smaps_rollup` counts pages; newer kernels keep the number in `statm` per processor and add it up roughly. Only the
    latter may be read of a process that belongs to somebody else.
    """
    try:
        for line in read(f"{proc}/{process}/smaps_rollup").splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return int(read(f"{proc}/{process}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") or None
    except (OSError, ValueError, IndexError):
        return None


def gpu_bytes(page: str) -> list[tuple[str, int]]:
    """Reads Triton's page of metrics: memory in use of each GPU, named `gpu0`, `gpu1`, … in the page's order."""
    values = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(_GPU_METRIC)]
    return [(f"gpu{index}", int(float(value))) for index, value in enumerate(values)]


def read(path: str) -> str:
    """Reads a file of `/proc` without the layers of `open`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
