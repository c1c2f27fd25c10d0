"""A local port for a Service, through `kubectl port-forward`: works on every cluster, reachable or not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from plimsoll.errors import NotYet
from plimsoll_dev.cluster.kubectl import Kubectl

_LISTENING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextmanager
def forwarded(kubectl: Kubectl, namespace: str, target: str, port: int) -> Iterator[int]:
    """Yields a port on 127.0.0.1 that leads to `port` of `target` (for example `service/digits`).

    Raises:
        NotYet: nothing answers behind the target.
    """
    command = [*kubectl.command, "-n", namespace, "port-forward", target, f":{port}", "--address=127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            match = _LISTENING.search(line)
            if match is None:
                process.terminate()
                said = process.stderr.read().strip() if process.stderr else ""
                raise NotYet("NotReachable", f"kubectl port-forward to {target} ended: {said or line.strip()}.")
            yield int(match[1])
        finally:
            process.terminate()
