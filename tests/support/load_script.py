"""Runs in a pod: sends requests until /tmp/stop exists and as many as that says were sent; prints one JSON object.

Argument, a JSON object: `body` of each request; `kinds` of clients (`new`: each request on a connection of its own;
`kept`: all on one connection, reopened when the server has closed it, as urllib3 does; `grpc`: all on one channel);
`pause_s` between the requests of a client; `urls` of models; `headers` of each request; `authority`, the certificate
that servers on https are trusted by, as PEM.

What is counted is told for each phase too: one begins when /tmp/phase names it, and a request belongs to the phase in
which it began. /tmp/progress says how many requests of the present one have ended.
"""

import json
import select
import ssl
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

WORKERS = 2
"""Of each kind."""
GRPC_PORT = 8001
STOP = Path("/tmp/stop")  # noqa: S108 - in a pod of its own
PHASE = Path("/tmp/phase")  # noqa: S108
PROGRESS = Path("/tmp/progress")  # noqa: S108
AUTHORITY = Path("/tmp/ca.crt")  # noqa: S108
LOOKS_PER_S = 50
LISTED = 200
"""Failures of a client that are told in words."""


class Answer:
    """Who answered, by public name and Triton's model version, and what is told about the way there."""

    def __init__(self, name: str, version: str, cache: str = "", certificate: str = "") -> None:
        self.who = f"{name} {version}"
        self.version = version
        self.cache = cache
        self.certificate = certificate


class RefusedError(OSError):
    """An answer that is none; `who` is its status, or `unreached` where nothing was sent."""

    def __init__(self, who: str, message: str) -> None:
        super().__init__(message)
        self.who = who


class Http:
    """One client over HTTP/1.1."""

    def __init__(self, given: dict[str, Any], *, kept: bool) -> None:
        self._body = given["body"].encode()
        self._headers = {"Content-Type": "application/json", **given["headers"]}
        self._tls = ssl.create_default_context(cafile=str(AUTHORITY)) if given["authority"] else None
        self._kept = kept
        self._connections: dict[str, HTTPConnection] = {}

    def ask(self, url: SplitResult) -> Answer:
        """Sends one request."""
        if url.netloc not in self._connections:
            self._connections[url.netloc] = self._connection(url)
        connection = self._connections[url.netloc]
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # closed by the server while it was idle
        certificate = ""
        try:
            if connection.sock is None:
                certificate = self._connect(connection)
            connection.request("POST", url.path, self._body, self._headers)
            response = connection.getresponse()
            content = response.read()
        except OSError:
            connection.close()
            raise
        if not self._kept:
            connection.close()
        if response.status != 200:
            raise RefusedError(str(response.status), f"{response.status} {content[:200]!r}")
        told = json.loads(content)
        return Answer(
            told["model_name"], told["model_version"], response.getheader("x-plimsoll-cache", ""), certificate
        )

    def _connection(self, url: SplitResult) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(url.hostname or "", url.port, timeout=10)
        return HTTPSConnection(url.hostname or "", url.port, timeout=10, context=self._tls)

    def _connect(self, connection: HTTPConnection) -> str:
        """Opens it and returns the serial number of the server's certificate, empty without TLS."""
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            raise RefusedError("unreached", repr(error)) from error
        if self._tls is None:
            return ""
        shown: Any = connection.sock
        return str(shown.getpeercert()["serialNumber"])


class Grpc:
    """One client over gRPC."""

    def __init__(self, given: dict[str, Any]) -> None:
        import numpy as np  # noqa: PLC0415 - where there is such a client
        from tritonclient import grpc  # type: ignore[import-untyped]  # noqa: PLC0415

        self._grpc = grpc
        self._tls = {"ssl": True, "root_certificates": str(AUTHORITY)} if given["authority"] else {}
        self._headers = {name.lower(): value for name, value in given["headers"].items()}
        self._clients: dict[str, grpc.InferenceServerClient] = {}
        self._inputs = []
        for tensor in json.loads(given["body"])["inputs"]:
            values = np.asarray(tensor["data"], dtype="f4").reshape(tensor["shape"])
            self._inputs.append(grpc.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
            self._inputs[-1].set_data_from_numpy(values)

    def ask(self, url: SplitResult) -> Answer:
        """Sends one request."""
        address = f"{url.hostname}:{GRPC_PORT}"
        if address not in self._clients:
            self._clients[address] = self._grpc.InferenceServerClient(address, **self._tls)
        name = url.path.split("/")[3]
        try:
            told = self._clients[address].infer(name, self._inputs, client_timeout=10, headers=self._headers)
        except Exception as error:
            text = str(error)
            unreached = "failed to connect" in text or "onnection refused" in text
            raise RefusedError("unreached" if unreached else text[1:].partition("]")[0], text) from error
        answer = told.get_response()
        return Answer(answer.model_name, answer.model_version)


class Tally:
    """What one client saw in one phase."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.cache: Counter[str] = Counter()
        self.certificates: Counter[str] = Counter()
        self.first_s: dict[str, float] = {}
        self.last_s: dict[str, float] = {}

    def add(self, who: str, at_s: float) -> None:
        """Counts an answer, or what came in its place, and when: seconds after the phase began."""
        self.answers[who] += 1
        self.first_s.setdefault(who, at_s)
        self.last_s[who] = at_s


class Clock:
    """The present phase and when it began; `began_at` is wall time, of all of them."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.phase, self.began = "", self.started
        self.began_at = {"": time.time()}

    def look(self) -> None:
        """Begins the phase that the file names."""
        named = PHASE.read_text() if PHASE.exists() else ""
        if named != self.phase:
            self.began = time.monotonic()
            self.began_at[named] = time.time()
            self.phase = named


class Client(threading.Thread):
    """Sends and counts."""

    def __init__(self, kind: str, given: dict[str, Any], clock: Clock, enough: Callable[[], bool]) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        self.failures: list[str] = []
        self.phases: defaultdict[str, Tally] = defaultdict(Tally)
        self._urls = [urlsplit(url) for url in given["urls"]]
        self._pause_s = given["pause_s"]
        self._clock = clock
        self._enough = enough
        self._client = Grpc(given) if kind == "grpc" else Http(given, kept=kind == "kept")

    def run(self) -> None:
        """Sends until it is enough."""
        while not self._enough():
            self.sent += 1
            phase, began = self._clock.phase, self._clock.began
            tally = self.phases[phase]
            try:
                answer = self._client.ask(self._urls[self.sent % len(self._urls)])
            except OSError as error:
                who = error.who if isinstance(error, RefusedError) else "broken"
                tally.add(who, time.monotonic() - began)
                if len(self.failures) < LISTED:
                    at_s = time.monotonic() - self._clock.started
                    self.failures.append(f"{at_s:.1f} s: {phase}: {self.kind}: {who}: {error!r}")
            else:
                tally.add(answer.who, time.monotonic() - began)
                tally.versions[answer.version] += 1
                tally.cache[answer.cache] += 1
                if answer.certificate:
                    tally.certificates[answer.certificate] += 1
            time.sleep(self._pause_s)


def joined(clients: list[Client], phase: str) -> dict[str, Any]:
    """What all of them saw in a phase."""
    tallies = [client.phases[phase] for client in clients if phase in client.phases]
    people = {who for tally in tallies for who in tally.answers}
    return {
        "answers": sum((tally.answers for tally in tallies), Counter()),
        "certificates": sum((tally.certificates for tally in tallies), Counter()),
        "first_s": {who: min(tally.first_s[who] for tally in tallies if who in tally.first_s) for who in people},
        "last_s": {who: max(tally.last_s.get(who, 0.0) for tally in tallies) for who in people},
    }


def main() -> None:
    """Sends and counts."""
    given = json.loads(sys.argv[1])
    if given["authority"]:
        AUTHORITY.write_text(given["authority"])
    clock = Clock()
    clients: list[Client] = []

    def enough() -> bool:
        return STOP.exists() and sum(client.sent for client in clients) >= int(STOP.read_text())

    clients += [Client(kind, given, clock, enough) for kind in given["kinds"] for _ in range(WORKERS)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        clock.look()
        ended = sum(client.phases[clock.phase].answers.total() for client in clients)
        PROGRESS.with_suffix(".new").write_text(json.dumps([clock.phase, ended]))
        PROGRESS.with_suffix(".new").rename(PROGRESS)
        time.sleep(1 / LOOKS_PER_S)
    tallies = [tally for client in clients for tally in client.phases.values()]
    by_kind: Counter[str] = Counter()
    for client in clients:
        by_kind[client.kind] += client.sent
    said = {
        "sent": by_kind.total(),
        "by_kind": by_kind,
        "failures": [failure for client in clients for failure in client.failures],
        "versions": sum((tally.versions for tally in tallies), Counter()),
        "cache": sum((tally.cache for tally in tallies), Counter()),
        "phases": {name: {"began_at": at, **joined(clients, name)} for name, at in clock.began_at.items()},
    }
    sys.stdout.write(json.dumps(said) + "\n")


main()
