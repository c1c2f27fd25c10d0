"""An HTTPS server that misbehaves on request.

A real registry or web server cannot be made to cut a connection after 1,000 bytes, to answer 503 exactly twice, to
forget ranges or to send another file under the same URL half-way: these are what fetch must survive, so a server is
written that does them one at a time. That fetch works with a real registry is proved beside it, in test_registry.py.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.certificates import LoopbackCertificate, issue_loopback_certificate


@dataclass(frozen=True)
class Fault:
    """What to do instead of answering properly, once."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int | None = None  # bytes of the body, then the connection breaks
    ignore_range: bool = False
    body: bytes | None = None  # instead of the file


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass
class FaultyServer:
    """Files by path, and faults that are used up one per request."""

    certificate: LoopbackCertificate
    host: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    every_answer: dict[str, Fault] = field(default_factory=dict)
    required_authorization: dict[str, str] = field(default_factory=dict)  # by path prefix
    challenge: str = ""
    seen: list[Seen] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def url(self, path: str) -> str:
        return f"https://{self.host}{path}"

    def put(self, path: str, content: bytes) -> str:
        """Serve a file and return its digest."""
        self.files[path] = content
        return "sha256:" + hashlib.sha256(content).hexdigest()

    def paths(self) -> list[str]:
        return [request.path for request in self.seen]


@contextmanager
def faulty_https(folder: Path, certificate: LoopbackCertificate | None = None) -> Iterator[FaultyServer]:
    """Run a server on a free loopback port; `certificate` lets two servers share an authority."""
    certificate = certificate or issue_loopback_certificate(folder)
    state = FaultyServer(certificate)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = certificate.server_context().wrap_socket(server.socket, server_side=True)
    state.host = f"localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: FaultyServer

    def do_GET(self) -> None:
        state = self.server_state
        path = self.path.partition("?")[0]
        state.seen.append(Seen(self.path, {name.lower(): value for name, value in self.headers.items()}))
        for prefix, wanted in state.required_authorization.items():
            if path.startswith(prefix) and self.headers.get("Authorization") != wanted:
                self._answer(401, b"", {"WWW-Authenticate": state.challenge})
                return
        waiting = state.faults.get(path, [])
        fault = waiting.pop(0) if waiting else state.every_answer.get(path, Fault())
        body = fault.body if fault.body is not None else state.files.get(path)
        if fault.status != 200:
            self._answer(fault.status, fault.body or b"", dict(fault.headers))
        elif body is None:
            self._answer(404, b"", {})
        else:
            self._file(body, fault)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def _file(self, body: bytes, fault: Fault) -> None:
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        start, status = 0, 200
        headers = {"ETag": etag, **dict(fault.headers)}
        wanted = self.headers.get("Range")
        if wanted and not fault.ignore_range and self.headers.get("If-Range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self._answer(status, body[start:], headers, fault.cut_after)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], cut_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut_after is None else body[:cut_after])
        if cut_after is not None:
            self.wfile.flush()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent; tests look at `seen`."""
