"""`plimsoll examine`: the sidecar in the model pod that shows a preflight what it cannot see from outside.

`GET /memory`: resident bytes of every process in the pod but this one, and of the GPUs, as JSON
`{"processes": [{"name": "tritonserver", "resident_bytes": 1}], "gpus": [{"name": "gpu0", "used_bytes": 1}]}`.
`GET /golden`, `GET /dataset`: the files that came with the artefact; 404 where there is none.
Who asks must know the pod's uid: `Authorization: Bearer UID`. It is in the pod's API object and nowhere else.

Stays resident beside every replica for as long as that serves, so it is written for its size: no HTTP library, no JSON
library, no argparse; `hmac` alone would load 4 MB of OpenSSL.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

from plimsoll.preflight.processes import PROC, gpu_bytes, read, resident_bytes

TOKEN_VARIABLE = "POD_UID"  # noqa: S105 - the name of a variable
DEFAULTS = {"--port": "8003", "--metrics-port": "8002", "--artefact": "/models/artefact"}
"""Port to listen on; port of Triton's metrics on the loopback; folder of golden.json and dataset.json."""
FILES = {"/golden": "golden.json", "/dataset": "dataset.json"}
MAX_FILE_BYTES = 64 << 20

_USAGE = "Usage: plimsoll examine [--port N] [--metrics-port N] [--artefact FOLDER]; needs POD_UID in the environment."
_UNUSABLE = 2
_CONNECTIONS = 8
_MAX_HEADER_BYTES = 8192
_HEADER_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_CHUNK_BYTES = 1 << 16
_METRICS_SECONDS = 2.0
_MAX_METRICS_BYTES = 4 << 20
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
}


class RefusedRequestError(Exception):
    """An answer other than 200; the argument is its status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Examiner:
    """What is shown, and to whom.

    Args:
        token: What has to be known.
        artefact: Folder with golden.json and dataset.json; either may be absent.
        metrics_port: Of Triton on the loopback.
        proc: Where the process information is mounted.
    """

    def __init__(self, token: str, artefact: str, metrics_port: int, proc: str = PROC) -> None:
        self._token = token.encode()
        self._artefact = artefact
        self._metrics_port = metrics_port
        self._proc = proc

    def serve(self, listener: socket.socket) -> None:
        """Answers connections, each in a thread, until the listener is closed; surplus ones are closed unanswered."""
        slots = threading.BoundedSemaphore(_CONNECTIONS)
        while True:
            try:
                connection, _ = listener.accept()
            except ConnectionError:
                continue  # it went away while it waited
            except OSError:
                return
            if slots.acquire(blocking=False):
                threading.Thread(target=self._connection, args=(connection, slots), daemon=True).start()
            else:
                connection.close()

    def _connection(self, connection: socket.socket, slots: threading.BoundedSemaphore) -> None:
        try:
            with connection:
                self._answer(connection)
        except OSError:
            pass  # the client went away or was too slow
        finally:
            slots.release()

    def _answer(self, connection: socket.socket) -> None:
        try:
            path = authorized_path(_header(connection), self._token)
            if path == "/memory":
                _send(connection, 200, self._memory().encode())
            else:
                self._file(connection, path)
        except RefusedRequestError as refused:
            _send(connection, refused.status, b"{}")

    def _memory(self) -> str:
        own = str(os.getpid())
        rows = []
        names = os.listdir(self._proc)  # noqa: PTH208 - pathlib would be 1 MB
        for process in sorted((name for name in names if name.isdecimal()), key=int):
            size = None if process == own else resident_bytes(self._proc, process)
            if size is not None:
                rows.append(f'{{"name": "{self._name(process)}", "resident_bytes": {size}}}')
        gpus = [f'{{"name": "{name}", "used_bytes": {used}}}' for name, used in gpu_bytes(self._metrics())]
        return f'{{"processes": [{", ".join(rows)}], "gpus": [{", ".join(gpus)}]}}'

    def _name(self, process: str) -> str:
        try:
            name = read(f"{self._proc}/{process}/comm")
        except OSError:
            return ""
        return "".join(letter for letter in name if letter.isalnum() or letter in " ._-()/:")

    def _metrics(self) -> str:
        """Triton's page of metrics; empty where it does not answer: a missing GPU is no reason to hide the host."""
        try:
            with socket.create_connection(("127.0.0.1", self._metrics_port), _METRICS_SECONDS) as connection:
                connection.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
                page = bytearray()
                until = time.monotonic() + _METRICS_SECONDS
                while len(page) < _MAX_METRICS_BYTES and time.monotonic() < until:
                    part = connection.recv(_CHUNK_BYTES)
                    if not part:
                        break
                    page += part
        except OSError:
            return ""
        return page.decode("utf-8", "replace")

    def _file(self, connection: socket.socket, path: str) -> None:
        try:
            descriptor = os.open(f"{self._artefact}/{FILES[path]}", os.O_RDONLY | os.O_NOFOLLOW)
        except (KeyError, OSError):
            raise RefusedRequestError(404) from None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            size = os.fstat(descriptor).st_size
            if size > MAX_FILE_BYTES:
                raise RefusedRequestError(413)
            until = time.monotonic() + _ANSWER_SECONDS
            connection.settimeout(_ANSWER_SECONDS)
            connection.sendall(_head(200, size))
            # Never more than was announced, even if the file grew meanwhile.
            while size > 0 and time.monotonic() < until and (chunk := file.read(min(_CHUNK_BYTES, size))):
                connection.sendall(chunk)
                size -= len(chunk)


def authorized_path(header: bytes, token: bytes) -> str:
    """Returns the path that a request asks for.

    Raises:
        RefusedRequestError: 400 no HTTP request; 401 without the token; 405 another method than GET.
    """
    first, *lines = header.split(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):  # noqa: PLR2004 - method, path, version
        raise RefusedRequestError(400)
    given = [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"authorization:")]
    if len(given) != 1 or not equal(given[0], b"Bearer " + token):
        raise RefusedRequestError(401)
    if words[0] != b"GET":
        raise RefusedRequestError(405)
    return words[1].decode("latin-1")


def equal(given: bytes, wanted: bytes) -> bool:
    """Compares in a time that depends on the lengths only."""
    different = len(given) ^ len(wanted)
    for one, other in zip(given.ljust(len(wanted))[: len(wanted)], wanted, strict=True):
        different |= one ^ other
    return different == 0


def _header(connection: socket.socket) -> bytes:
    """Reads up to the empty line; what follows is no business of ours."""
    until = time.monotonic() + _HEADER_SECONDS
    header = b""
    while b"\r\n\r\n" not in header:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if len(header) > _MAX_HEADER_BYTES:
            raise RefusedRequestError(431)
        connection.settimeout(left)
        part = connection.recv(_MAX_HEADER_BYTES)
        if not part:
            raise RefusedRequestError(400)
        header += part
    return header.partition(b"\r\n\r\n")[0]


def _head(status: int, size: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode()


def _send(connection: socket.socket, status: int, body: bytes) -> None:
    connection.settimeout(_HEADER_SECONDS)
    connection.sendall(_head(status, len(body)) + body)


def listen(port: int) -> socket.socket:
    """Opens the port on every address of the pod, of either family."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=16)
        except OSError:
            pass  # the module is there, but the pod has no IPv6 address
    return socket.create_server(("0.0.0.0", port), backlog=16)  # noqa: S104 - the pod's address; see authorized_path


def main(words: list[str]) -> int:
    """Serves until the pod ends. Exit codes: 0 asked to stop; 2 wrong arguments or no token."""
    options = dict(DEFAULTS)
    options.update(zip(words[::2], words[1::2], strict=False))
    token = os.environ.get(TOKEN_VARIABLE, "")
    numbers = [options["--port"], options["--metrics-port"]]
    if not token or len(words) % 2 or options.keys() != DEFAULTS.keys() or not all(map(str.isdecimal, numbers)):
        os.write(2, f"{_USAGE}\n".encode())
        return _UNUSABLE
    # As process 1 of a container it would otherwise ignore SIGTERM and cost every pod its whole grace period.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with listen(int(options["--port"])) as listener:
        Examiner(token, options["--artefact"], int(options["--metrics-port"])).serve(listener)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
