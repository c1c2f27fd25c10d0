"""How the C library keeps memory that was freed.

By default it gives the end of its heap back to the kernel once 128 KiB there are free. A gateway that frees one body
and reads the next one does so for each: 20 us of page faults for 64 KiB, a third of what such a request takes.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

KEPT_BYTES: Final = 16 << 20
"""At the end of the heap, free, for the next bodies."""
MAPPED_BYTES: Final = 4 << 20
"""From here on a piece of memory is mapped by itself. The largest that the data path needs is a body that is looked
into. Said, because with the first number said the C library no longer finds it out by itself."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory(library: Any = None) -> bool:
    """Has the C library keep what bodies leave; returns False where it is none that can be told (musl).

    Args:
        library: The C library as `ctypes` gives it; this process's where None.
    """
    tell = getattr(library or ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return False
    return bool(tell(_M_TRIM_THRESHOLD, KEPT_BYTES) and tell(_M_MMAP_THRESHOLD, MAPPED_BYTES))
