"""Registries that want a login, and the Secrets for it as people make them with kubectl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.https_pod import PORT, host_of, run_https_pod, trust
from tests.support.registry import PASSWORD, PASSWORD_HASH, USER
from tests.support.team import Team

from plimsoll_dev.cluster.pki import create_authority
from plimsoll_dev.models.catalogue import DIGITS
from plimsoll_dev.testbed.logins import TokenIssuer, password_login
from plimsoll_dev.testbed.model import Served

EXCHANGE = """
import base64, json
from http.server import BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        known = "Basic " + base64.b64encode(open("/files/login", "rb").read()).decode()
        self.send_response(200 if self.headers.get("Authorization") == known else 401)
        self.end_headers()
        if self.headers.get("Authorization") == known:
            self.wfile.write(json.dumps({"token": open("/files/token").read()}).encode())
"""


@dataclass(frozen=True)
class Private:
    """A registry with one model that nobody gets without a login."""

    host: str
    uri: str
    issuer: TokenIssuer

    def pull_token(self, repository: str = DIGITS.repository) -> str:
        return self.issuer.token(repository, "pull")


@pytest.fixture
def private(team: Team, tmp_path: Path) -> Private:
    """It accepts tokens, and sends whoever has none to a token service on another host, as public registries do."""
    issuer = TokenIssuer(create_authority(tmp_path, "tokens-ca"))
    realm = f"https://{host_of(team, 'tokens')}:{PORT}/token"
    registry = team.testbed.registry(team.namespace, "private", issuer.login(realm))
    registry.install()
    uri = registry.push([DIGITS], login=issuer.token(DIGITS.repository, "pull", "push"))[DIGITS.folder]
    served = create_authority(tmp_path, "ca")
    trust(team, *(path.read_text(encoding="utf-8") for path in (registry.authority, served.pair.certificate)))
    made = Private(registry.host, uri, issuer)
    known = [f"--from-literal=login={USER}:{PASSWORD}", f"--from-literal=token={made.pull_token()}"]
    team.kubectl("create", "configmap", "tokens", *known)
    run_https_pod(team, "tokens", served, EXCHANGE, "tokens")
    return made


def deploy_with_login(team: Team, uri: str) -> Served:
    credentials = {"caConfigMapRef": {"name": "registry-ca"}, "secretRef": {"name": "login"}}
    return team.deploy("digits", uri, model={"credentials": credentials})


def make_docker_secret(team: Team, host: str, password: str) -> None:
    login = [f"--docker-server={host}", f"--docker-username={USER}", f"--docker-password={password}"]
    team.kubectl("create", "secret", "docker-registry", "login", *login)


def make_token_secret(team: Team, host: str, token: str) -> None:
    team.kubectl("create", "secret", "generic", "login", f"--from-literal=host={host}", f"--from-literal=token={token}")


def test_a_docker_login_with_a_password(team: Team) -> None:
    registry = team.testbed.registry(team.namespace, "private", password_login(f"{USER}:{PASSWORD_HASH}\n"))
    registry.install()
    uri = registry.push([DIGITS], login=(USER, PASSWORD))[DIGITS.folder]
    make_docker_secret(team, registry.host, PASSWORD)
    team.until_ready(deploy_with_login(team, uri))


def test_a_docker_login_that_a_token_service_exchanges(team: Team, private: Private) -> None:
    make_docker_secret(team, private.host, PASSWORD)
    team.until_ready(deploy_with_login(team, private.uri))


def test_a_token_service_that_does_not_know_the_password(team: Team, private: Private) -> None:
    make_docker_secret(team, private.host, "wrong")
    served = deploy_with_login(team, private.uri)
    assert "spec.model.credentials.secretRef" in team.until_reason(served, "Unauthorized")
    team.until("an Event tells it", lambda: "Unauthorized" in team.events("digits"), 30)


def test_a_token_is_shown_as_it_is(team: Team, private: Private) -> None:
    make_token_secret(team, private.host, private.pull_token())
    team.until_ready(deploy_with_login(team, private.uri))


def test_a_token_for_another_repository(team: Team, private: Private) -> None:
    make_token_secret(team, private.host, private.pull_token("models/other"))
    assert "spec.model.credentials.secretRef" in team.until_reason(deploy_with_login(team, private.uri), "Unauthorized")
