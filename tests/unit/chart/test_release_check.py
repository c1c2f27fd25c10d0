"""The program that `helm test` runs, against a controller and an API server on loopback."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support.certificates import issue_loopback_certificate
from tests.unit.chart.rendering import CHART, one
from typing_extensions import override

PROGRAM = CHART / "files" / "release_check.py"
SERVED = ["modeldeployments", "modeldeployments/status", "modeldeployments/scale"]


@pytest.mark.parametrize(
    ("ready", "served", "code", "said"),
    [
        (200, SERVED, 0, ["ok: http://127.0.0.1", "a controller is ready", "ok: /apis/plimsoll.dev/v1alpha1 serves"]),
        (503, SERVED, 1, ["FAILED: http://127.0.0.1", "503", "logs", "ok: /apis/plimsoll.dev"]),
        (200, None, 1, ["ok: http://127.0.0.1", "FAILED: /apis/plimsoll.dev/v1alpha1", "404", "installed?"]),
        (200, SERVED[:2], 1, ["does not serve modeldeployments/scale", "Apply the CustomResourceDefinition"]),
    ],
    ids=["healthy", "controller not ready", "API absent", "old API"],
)
def test_each_question_is_answered_in_a_sentence(
    tmp_path: Path, ready: int, served: list[str] | None, code: int, said: list[str]
) -> None:
    done = release_check(tmp_path, ready, served)
    assert done.returncode == code, done.stdout + done.stderr
    assert all(part in done.stdout for part in said), done.stdout
    assert done.stderr == ""


def test_the_test_pod_carries_this_very_program() -> None:
    container = one("Pod")["spec"]["containers"][0]
    assert container["command"] == ["/opt/plimsoll/bin/python", "-c"]
    assert container["args"][0].strip() == PROGRAM.read_text(encoding="utf-8").strip()
    assert container["env"] == [{"name": "PLIMSOLL_READYZ", "value": "http://plimsoll.plimsoll-system.svc:8080/readyz"}]


def release_check(folder: Path, ready: int, served: list[str] | None) -> subprocess.CompletedProcess[str]:
    certificate = issue_loopback_certificate(folder)
    (folder / "token").write_text("a-token", encoding="ascii")
    (folder / "ca.crt").write_bytes(certificate.ca_file.read_bytes())
    discovery = None if served is None else {"resources": [{"name": name} for name in served]}
    with ExitStack() as stack:
        controller = stack.enter_context(answering({"/readyz": (ready, {})}))
        answers = {"/apis/plimsoll.dev/v1alpha1": (200, discovery)} if discovery else {}
        api = stack.enter_context(answering(answers, certificate.server_context()))
        environment = {
            **os.environ,
            "PLIMSOLL_ACCOUNT": str(folder),
            "PLIMSOLL_READYZ": f"http://127.0.0.1:{controller}/readyz",
            "PLIMSOLL_PATIENCE_S": "0",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(api),
        }
        return subprocess.run([sys.executable, PROGRAM], env=environment, capture_output=True, text=True, check=False)


@contextmanager
def answering(answers: dict[str, tuple[int, Any]], tls: Any = None) -> Iterator[int]:
    """A server on loopback; over TLS it answers only to the account's token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answers.get(self.path, (404, {}))
            if tls and self.headers["Authorization"] != "Bearer a-token":
                code, body = 401, {}
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: the test asserts on what the program says."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
