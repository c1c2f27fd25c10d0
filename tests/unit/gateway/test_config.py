"""A gateway's settings."""

from __future__ import annotations

import pytest

from plimsoll.core.tokens import public_key
from plimsoll.errors import Invalid
from plimsoll.gateway.config import GatewayConfig, Self, parse_gateway_config, read_self
from plimsoll.settings import LogLevel

KEY = public_key(bytes(32))


def test_an_empty_file_is_the_defaults() -> None:
    config = parse_gateway_config("")
    assert config == GatewayConfig()
    assert (config.http_port, config.grpc_port, config.admin_port) == (8000, 8001, 8080)
    assert (config.drain_delay_s, config.drain_deadline_s) == (5.0, 60.0)


def test_every_setting() -> None:
    text = "{httpPort: 1, grpcPort: 2, adminPort: 3, drainDelay: 250ms, drainDeadline: 1m30s}"
    config = parse_gateway_config(text[:-1] + ", logLevel: debug, accessLog: 0.1}")
    assert config.access_log == 0.1
    assert (config.http_port, config.grpc_port, config.admin_port) == (1, 2, 3)
    assert (config.drain_delay_s, config.drain_deadline_s, config.log_level) == (0.25, 90.0, LogLevel.DEBUG)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("httpPort: 0", "httpPort"),
        ("adminPort: 65536", "adminPort"),
        ("drainDelay: 5", "drainDelay"),
        ("drainDelay: soon", "drainDelay"),
        ("drain_dealy: 5s", "drain_dealy"),
        ("logLevel: loud", "logLevel"),
        ("redis: {url: 'redis://:hush@cache'}", "redis.url: .* come from a Secret$"),
        ("redis: {secret: login}", "redis.url"),
        ("accessLog: 1.1", "accessLog"),
        ("- httpPort", "it"),
        ("{", "not YAML"),
    ],
)
def test_what_is_refused(text: str, names: str) -> None:
    with pytest.raises(Invalid, match=names):
        parse_gateway_config(text)


def test_what_the_pod_says_about_itself() -> None:
    known = {"POD_NAMESPACE": "vision", "PLIMSOLL_CONTROLLER_KEY": KEY}
    assert read_self({**known, "POD_NAME": "g", "POD_UID": "u"}) == Self("vision", "g", "u", KEY)
    assert read_self(known) == Self("vision", "gateway", "", KEY)


@pytest.mark.parametrize("key", ["", "short", KEY[:-4], "?" * 43])
def test_a_gateway_has_to_know_its_controller(key: str) -> None:
    with pytest.raises(Invalid, match="PLIMSOLL_CONTROLLER_KEY is no public key"):
        read_self({"POD_NAMESPACE": "vision", "PLIMSOLL_CONTROLLER_KEY": key})


def test_a_gateway_has_to_know_its_namespace() -> None:
    with pytest.raises(Invalid, match="POD_NAMESPACE is not set"):
        read_self({})
