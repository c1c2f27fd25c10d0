"""The sidecar over real sockets: who is answered, with what, and what it costs to be rude."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.preflight import examiner
from plimsoll.preflight.examiner import Examiner, RefusedRequestError, authorized_path, equal
from plimsoll.preflight.memory import HttpExaminer
from plimsoll.preflight.processes import gpu_bytes

TOKEN = "0b6f5a52-8f0e-4ab6-a1a4-5c3b3b2d9d10"  # noqa: S105 - a pod's uid
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    (tmp_path / "golden.json").write_text('{"cases": []}')
    return tmp_path


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A `/proc` with a server, its stub, a kernel thread and the examiner itself."""
    root = tmp_path / "proc"
    processes = {
        "1": ("pause", "Rss: 8 kB\nPss: 8 kB\n", "9 2"),
        "7": ("tritonserver", "00400000-7fff ---p [rollup]\nRss:  2048 kB\nPss: 9 kB\n", "9 1"),
        "8": ('stub"} \\\n', None, "900 5 1 1 0 1 0"),
        "9": ("kworker", "", "0 0 0"),
        str(os.getpid()): ("examiner", "Rss: 4096 kB\n", "9 9"),
    }
    for number, (name, rollup, statm) in processes.items():
        (root / number).mkdir(parents=True)
        (root / number / "comm").write_text(name)
        (root / number / "statm").write_text(statm)
        if rollup is not None:
            (root / number / "smaps_rollup").write_text(rollup)
    (root / "self").mkdir()
    return root


@pytest.fixture
def url(artefact: Path, proc: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Examiner(TOKEN, str(artefact), metrics_port=1, proc=str(proc))
        thread = threading.Thread(target=served.serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
    assert not thread.is_alive()


def get(url: str, **options: object) -> httpx.Response:
    return httpx.get(url, trust_env=False, **options)  # type: ignore[arg-type]


def test_memory_is_that_of_every_process_but_its_own(url: str) -> None:
    answer = get(f"{url}/memory", headers=ALLOWED)
    page = os.sysconf("SC_PAGE_SIZE")
    assert answer.json() == {
        "processes": [
            {"name": "pause", "resident_bytes": 8 * 1024},
            {"name": "tritonserver", "resident_bytes": 2048 * 1024},
            {"name": "stub ", "resident_bytes": 5 * page},
        ],
        "gpus": [],
    }


async def test_the_preflight_adds_the_processes_up(url: str) -> None:
    async with HttpExaminer(url, TOKEN) as reader:
        assert await reader.read() == {"host": (8 + 2048) * 1024 + 5 * os.sysconf("SC_PAGE_SIZE")}


async def test_the_preflight_says_what_is_wrong_with_an_examiner(url: str) -> None:
    with pytest.raises(PlimsollError, match="answers 401"):
        await HttpExaminer(url, "other").read()
    with pytest.raises(PlimsollError, match="does not answer"):
        await HttpExaminer("http://127.0.0.1:1", TOKEN).read()


def test_files_of_the_artefact(url: str, artefact: Path) -> None:
    answer = get(f"{url}/golden", headers=ALLOWED)
    assert (answer.status_code, answer.text) == (200, '{"cases": []}')
    assert get(f"{url}/dataset", headers=ALLOWED).status_code == 404
    large = b"x" * (3 << 20)
    (artefact / "dataset.json").write_bytes(large)
    assert get(f"{url}/dataset", headers=ALLOWED).content == large


def test_a_file_that_is_too_large_or_a_link_is_not_shown(
    url: str, artefact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (artefact / "dataset.json").symlink_to("/etc/hostname")
    assert get(f"{url}/dataset", headers=ALLOWED).status_code == 404
    monkeypatch.setattr(examiner, "MAX_FILE_BYTES", 5)
    assert get(f"{url}/golden", headers=ALLOWED).status_code == 413


@pytest.mark.parametrize("path", ["/memory", "/golden", "/", "/nothing"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN}])
def test_strangers_see_nothing(url: str, path: str, headers: dict[str, str]) -> None:
    answer = get(url + path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {})


@pytest.mark.parametrize("path", ["/", "/nothing", "/golden/../etc", "/golden.json", "http://other/golden"])
def test_paths_are_not_interpreted(url: str, path: str) -> None:
    port = int(url.rpartition(":")[2])
    assert b" 404 " in raw(port, f"GET {path} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        answer = b""
        with suppress(OSError):  # it hangs up without reading all of what we sent
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := connection.recv(4096):
                answer += part
        return answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /memory SPDY/3\r\n\r\n", 400),
        (b"GET /memory HTTP/1.1\r\nHost: x", 400),
        # Little more than is read: a server that closes with data unread resets the connection, answer and all.
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1400, 431),
        (b"POST /memory HTTP/1.1\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\n" + b"Authorization: Bearer " + TOKEN.encode() + b"\r\nAuthorization: x\r\n\r\n", 401),
    ],
)
def test_what_is_no_proper_request_is_refused(url: str, request_bytes: bytes, status: int) -> None:
    assert f" {status} ".encode() in raw(int(url.rpartition(":")[2]), request_bytes)


def test_silent_connections_do_not_keep_others_out_for_good(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "_HEADER_SECONDS", 0.2)
    port = int(url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    for connection in silent:
        connection.settimeout(10)
        assert connection.recv(1) == b""  # surplus ones at once, the others when their time is up
        connection.close()
    assert get(f"{url}/memory", headers=ALLOWED).is_success


@pytest.mark.parametrize(("given", "same"), [(b"abc", True), (b"abd", False), (b"ab", False), (b"abcd", False)])
def test_equality(given: bytes, same: bool) -> None:  # noqa: FBT001 - a table's column
    assert equal(given, b"abc") is same


def test_header_names_are_case_insensitive() -> None:
    assert authorized_path(b"GET /memory HTTP/1.1\r\naUTHORIZATION:  Bearer t", b"t") == "/memory"
    with pytest.raises(RefusedRequestError):
        authorized_path(b"GET /memory HTTP/1.1", b"")


def test_gpus_are_read_from_tritons_metrics() -> None:
    page = (
        "# HELP nv_gpu_memory_used_bytes GPU used memory, in bytes\n"
        'nv_gpu_memory_total_bytes{gpu_uuid="GPU-a"} 9.0\n'
        'nv_gpu_memory_used_bytes{gpu_uuid="GPU-a"} 1073741824.000000\n'
        'nv_gpu_memory_used_bytes{gpu_uuid="GPU-b"} 1.5e6\n'
    )
    assert gpu_bytes(page) == [("gpu0", 2**30), ("gpu1", 1_500_000)]


@pytest.mark.parametrize(
    ("words", "token"),
    [([], ""), (["--port"], "t"), (["--port", "x"], "t"), (["--what", "1"], "t")],
)
def test_wrong_arguments_are_told(
    words: list[str], token: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(examiner.TOKEN_VARIABLE, token)
    assert examiner.main(words) == 2
    assert capfd.readouterr().err.startswith("Usage: plimsoll examine")


def test_it_loads_next_to_nothing() -> None:
    script = "import sys; sys.argv = ['plimsoll', 'examine', '--port']; from plimsoll.__main__ import main; main(); "
    script += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"argparse", "asyncio", "email", "hmac", "http", "logging", "numpy", "pathlib", "pydantic", "ssl"}
    assert not heavy & set(done.stdout.split())
