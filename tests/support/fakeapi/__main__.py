"""The fake as a process: `python -m tests.support.fakeapi --port 8001 --load 5000 --workloads 0.1`.

Prints one line, `listening on URL`, when it is ready, and runs until it is told to end. SIGUSR1 freezes Deployments and
pods as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tests.support.fakeapi import FakeApi, Workloads
from tests.support.fakeapi.load import load

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: fake
contexts: [{{name: fake, context: {{cluster: fake, user: fake}}}}]
clusters: [{{name: fake, cluster: {{server: "{server}"}}}}]
users: [{{name: fake, user: {{}}}}]
"""


def write_kubeconfig(path: Path, server: str) -> None:
    """A kubeconfig without credentials for that server."""
    path.write_text(KUBECONFIG.format(server=server), encoding="utf-8")


async def serve(given: argparse.Namespace) -> None:
    """Runs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with FakeApi(port=given.port) as api:
        api.watches.bookmark_s = given.bookmarks
        load(api.cluster, given.load)
        if given.kubeconfig:
            write_kubeconfig(given.kubeconfig, api.url)
        workloads = Workloads(api.cluster, ready_after_s=given.workloads or 0.0)
        task = asyncio.create_task(workloads.run()) if given.workloads is not None else None
        if task:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, task.cancel)
        sys.stdout.write(f"listening on {api.url}\n")
        sys.stdout.flush()
        await stop.wait()
        if task:
            task.cancel()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fakeapi", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--load", type=int, default=0, metavar="N", help="ModelDeployments to start with")
    parser.add_argument("--workloads", type=float, metavar="SECONDS", help="make Deployments ready after this long")
    parser.add_argument("--bookmarks", type=float, default=60.0, metavar="SECONDS", help="time between bookmarks")
    parser.add_argument("--kubeconfig", type=Path, help="write one here")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
