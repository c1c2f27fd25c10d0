"""When a pod that nobody asks gets a request of the gateway's own, so that the next user finds it warm.

Gateways do not talk to each other, and each pod knows when it last computed. So a gateway asks the pod first, and each
looks at a moment of its own: the first one to look after the idle time sends, the others see that somebody did.
"""

from __future__ import annotations

import hashlib
from typing import Final

_SPREAD: Final = 0.1
_BYTES: Final = 8
_ALL: Final = 256**8


def offset_s(pod: str, gateway: str, keep_warm_s: float) -> float:
    """Returns by how many seconds this gateway is later than the idle time with this pod: less than a tenth of it.

    The same each time, and spread evenly over gateways, so that it is another gateway's turn with each pod.
    """
    digest = hashlib.blake2b(f"{pod}\0{gateway}".encode(), digest_size=_BYTES).digest()
    return keep_warm_s * _SPREAD * int.from_bytes(digest, "big") / _ALL


def rest_s(idle_s: float, keep_warm_s: float) -> float:
    """Returns for how many seconds a pod that has been idle for so long stays warm; 0 where it is to be asked.

    Args:
        idle_s: Since it last computed; below 0 where the pod's clock is ahead of the gateway's.
        keep_warm_s: Idle time after which it gets a request.
    """
    return max(0.0, keep_warm_s - max(0.0, idle_s))
