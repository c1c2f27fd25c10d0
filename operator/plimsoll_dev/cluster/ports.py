"""Free ports of this machine."""

from __future__ import annotations

import socket
from collections.abc import Sequence


def free_ports(count: int) -> Sequence[int]:
    """Ports of the loopback address that nothing uses now; held open together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
