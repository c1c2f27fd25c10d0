"""Which credential belongs to which host."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from plimsoll.errors import Invalid
from plimsoll.fetch.credentials import Credential, read_credential


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def mounted(folder: Path, **keys: str) -> Path:
    for key, value in keys.items():
        (folder / key).write_text(value)
    return folder


@pytest.mark.parametrize(
    ("auths", "expected"),
    [
        ({"registry:5000": {"auth": auth("u:p:q")}}, Credential("u", "p:q")),
        ({"registry:5000": {"username": "u", "password": "p"}}, Credential("u", "p")),
        ({"https://registry:5000/v1/": {"auth": auth("u:p")}}, Credential("u", "p")),
        ({"https://registry:5000/v2/": {"auth": auth("u:p")}}, Credential("u", "p")),
        (
            {"registry:5000": {"username": "wide"}, "registry:5000/team": {"username": "narrow"}},
            Credential("narrow"),
        ),
        ({"registry:5000/te": {"username": "u"}}, Credential()),
        ({"registry": {"username": "u"}}, Credential()),
        ({"REGISTRY:5000/team/": {"username": "u"}}, Credential("u")),
        ({"registry:50000": {"username": "u"}}, Credential()),
        ({"registry:443": {"username": "u"}}, Credential()),
        ({"registry:5000/team/digits/large": {"username": "u"}}, Credential()),
        ({"registry:5000/team/v2": {"username": "u"}}, Credential()),
        ({"http://registry:5000": {"username": "u"}}, Credential()),
        ({"*": {"username": "u"}, "": {"username": "u"}, "[": {"username": "u"}}, Credential()),
        ({"registry:5000@evil": {"username": "u"}, "u@registry:5000": {"username": "u"}}, Credential()),
        ({"evil-registry:5000": {"username": "u"}}, Credential()),
        ({"registry:5000": {"identitytoken": "t"}}, Credential(identity_token="t")),  # noqa: S106 - a test's
        ({"registry:5000": {"registrytoken": "t"}}, Credential(bearer="t")),
        ({}, Credential()),
    ],
)
def test_a_docker_configuration(tmp_path: Path, auths: dict[str, Any], expected: Credential) -> None:
    mounted(tmp_path, **{".dockerconfigjson": json.dumps({"auths": auths})})
    assert read_credential(tmp_path, "registry:5000", "team/digits") == expected
    assert read_credential(tmp_path / ".dockerconfigjson", "registry:5000", "team/digits") == expected


@pytest.mark.parametrize("key", ["registry", "registry:443", "https://Registry/v1/"])
def test_the_port_of_https_may_be_left_out(tmp_path: Path, key: str) -> None:
    mounted(tmp_path, **{".dockerconfigjson": json.dumps({"auths": {key: {"username": "u", "password": "p"}}})})
    assert read_credential(tmp_path, "registry", "digits") == Credential("u", "p")
    assert read_credential(tmp_path, "registry:5000", "digits") == Credential()


def test_no_secret_at_all(tmp_path: Path) -> None:
    assert read_credential(tmp_path / "missing", "host").authorization() is None


LOGIN = {"username": "u", "password": "p\n"}
TOKEN = {"token": "t\n"}


@pytest.mark.parametrize(("keys", "header"), [(LOGIN, "Basic " + auth("u:p")), (TOKEN, "Bearer t")])
@pytest.mark.parametrize(
    ("named", "host"),
    [
        ("models.example", "models.example"),
        ("models.example:443\n", "models.example"),
        ("Models.Example", "models.example"),
        ("other.example\n models.example:8443 \r\n", "models.example:8443"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_login_or_token_is_for_the_hosts_its_secret_names(
    tmp_path: Path, keys: dict[str, str], header: str, named: str, host: str
) -> None:
    mounted(tmp_path, **keys, host=named)
    assert read_credential(tmp_path, host).authorization() == header


@pytest.mark.parametrize("keys", [LOGIN, TOKEN, {**LOGIN, **TOKEN}], ids=["login", "token", "both"])
@pytest.mark.parametrize(
    ("named", "host"),
    [
        (None, "attacker.example"),
        ("", "attacker.example"),
        ("models.example", "attacker.example"),
        ("models.example", "models.example:8443"),
        ("models.example:8443", "models.example"),
        ("models.example:8443", "models.example:84430"),
        ("models.example", "models.example.attacker.example"),
        ("models.example", "notmodels.example"),
        ("example", "models.example"),
        ("*", "attacker.example"),
        ("*.example", "attacker.example"),
        ("models.example attacker.example", "attacker.example"),
        ("models.example/attacker.example", "models.example/attacker.example"),
        ("models.example@attacker.example", "attacker.example"),
        ("models.example/models", "models.example"),
    ],
)
def test_no_other_host_is_shown_anything(tmp_path: Path, keys: dict[str, str], named: str | None, host: str) -> None:
    mounted(tmp_path, **keys, **({} if named is None else {"host": named}))
    with pytest.raises(Invalid) as error:
        read_credential(tmp_path, host)
    assert error.value.reason == "CredentialsNotForHost"


def test_the_refusal_names_the_host_and_the_way_out_and_nothing_of_the_secret(tmp_path: Path) -> None:
    mounted(tmp_path, username="sailor", password="s3cret", host="h0me.example")  # noqa: S106 - a test's
    with pytest.raises(Invalid) as error:
        read_credential(tmp_path, "attacker.example:8443")
    assert error.value.message == (
        "The Secret in spec.model.credentials.secretRef does not name attacker.example:8443 in its key 'host', so "
        "nothing of it was sent there. If it is meant for that host, create it with: kubectl create secret generic "
        "NAME --from-literal=host=attacker.example:8443 --from-literal=username=... --from-literal=password=..."
    )


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("more", [{}, {"host": "models.example"}, {".dockerconfigjson": '{"auths": {}}'}], ids=str)
def test_a_service_account_is_refused_whatever_its_secret_says(
    tmp_path: Path, more: dict[str, str], *, bound: bool
) -> None:
    mounted(tmp_path, **{"ca.crt": "c", "namespace": "n", "token": "s3cret"}, **more)
    with pytest.raises(Invalid, match="a service account's token") as error:
        read_credential(tmp_path, "models.example", bound=bound)
    assert error.value.reason == "CredentialsNotForHost"
    assert "s3cret" not in error.value.message


def test_who_states_uri_and_login_together_need_not_repeat_the_host(tmp_path: Path) -> None:
    mounted(tmp_path, **LOGIN)
    assert read_credential(tmp_path, "models.example", bound=False) == Credential("u", "p")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"other": "x"},
        {"host": "host"},
        {"host": "host", "username": "u"},
        {".dockerconfigjson": "not json"},
        {".dockerconfigjson": "[]"},
        {".dockerconfigjson": '{"auths": {"host": {"auth": "!"}}}'},
        {".dockerconfigjson": '{"auths": {"host": "text"}}'},
    ],
)
def test_secrets_that_cannot_be_used(tmp_path: Path, keys: dict[str, str]) -> None:
    mounted(tmp_path, **keys)
    with pytest.raises(Invalid, match=r"spec\.model\.credentials\.secretRef") as error:
        read_credential(tmp_path, "host")
    assert error.value.reason == "Unauthorized"


def test_no_secret_is_ever_printed() -> None:
    assert "s3cret" not in repr(Credential("u-s3cret", "s3cret", "s3cret", "s3cret"))
