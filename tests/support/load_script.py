"""Runs in a pod: sends requests until /tmp/stop exists and as many as that says were sent; prints one JSON object.

Arguments: the request's body, the kinds of clients (`new`: each request on a connection of its own; `kept`: all on one
connection, reopened when the server has closed it, as urllib3 does; `grpc`: all on one channel), seconds between the
requests of a client, URLs of models.
"""

import json
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

WORKERS = 2
"""Of each kind."""
GRPC_PORT = 8001
STOP = Path("/tmp/stop")  # noqa: S108 - in a pod of its own

Ask = Callable[[SplitResult], str]
"""Sends one request and returns the model version that answered; raises what went wrong."""


class RefusedError(OSError):
    """An answer that is none."""


class Http:
    """One client over HTTP/1.1."""

    def __init__(self, body: bytes, *, kept: bool) -> None:
        self._body = body
        self._kept = kept
        self._connections: dict[str, HTTPConnection] = {}

    def ask(self, url: SplitResult) -> str:
        """Sends one request."""
        connection = self._connections.setdefault(url.netloc, HTTPConnection(url.hostname or "", url.port, timeout=10))
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # closed by the server while it was idle
        try:
            connection.request("POST", url.path, self._body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except OSError:
            connection.close()
            raise
        if not self._kept:
            connection.close()
        if response.status != 200:
            raise RefusedError(f"{response.status} {content[:200]!r}")
        return str(json.loads(content)["model_version"])


class Grpc:
    """One client over gRPC."""

    def __init__(self, body: bytes) -> None:
        import numpy as np  # noqa: PLC0415 - where there is such a client
        from tritonclient import grpc  # type: ignore[import-untyped]  # noqa: PLC0415

        self._grpc = grpc
        self._clients: dict[str, grpc.InferenceServerClient] = {}
        self._inputs = []
        for tensor in json.loads(body)["inputs"]:
            values = np.asarray(tensor["data"], dtype="f4").reshape(tensor["shape"])
            self._inputs.append(grpc.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
            self._inputs[-1].set_data_from_numpy(values)

    def ask(self, url: SplitResult) -> str:
        """Sends one request."""
        address = f"{url.hostname}:{GRPC_PORT}"
        client = self._clients.setdefault(address, self._grpc.InferenceServerClient(address))
        name = url.path.split("/")[3]
        try:
            return str(client.infer(name, self._inputs, client_timeout=10).get_response().model_version)
        except Exception as error:
            raise RefusedError(str(error)) from error


def main() -> None:
    """Sends and counts."""
    body, kinds, pause_s = sys.argv[1].encode(), sys.argv[2].split(","), float(sys.argv[3])
    urls = [urlsplit(url) for url in sys.argv[4:]]
    versions: Counter[str] = Counter()
    failures: list[str] = []
    sent = Counter[str]()
    started = time.monotonic()

    def send(kind: str, ask: Ask) -> None:
        number = 0
        while not (STOP.exists() and sum(sent.values()) >= int(STOP.read_text())):
            number += 1
            sent[kind] += 1
            try:
                versions[ask(urls[number % len(urls)])] += 1
            except OSError as error:
                failures.append(f"{time.monotonic() - started:.1f} s: {kind}: {error!r}")
            time.sleep(pause_s)

    clients: list[tuple[str, Ask]] = [
        (kind, Grpc(body).ask if kind == "grpc" else Http(body, kept=kind == "kept").ask)
        for kind in kinds
        for _ in range(WORKERS)
    ]
    threads = [threading.Thread(target=send, args=client) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = {"sent": sum(sent.values()), "by_kind": sent, "failures": failures, "versions": versions}
    sys.stdout.write(json.dumps(said) + "\n")


main()
