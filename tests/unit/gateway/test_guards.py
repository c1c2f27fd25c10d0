"""What is in use of what is mounted, what is said of the rest, and when a gateway may take requests."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.authority import Authority, Issued
from tests.support.mounted_secret import mount

from plimsoll.core.access.credential import Fault
from plimsoll.core.access.keyring import digest_of_key
from plimsoll.gateway.config import GatewayConfig, KeySettings, TlsSettings
from plimsoll.gateway.doors import PlainDoor
from plimsoll.gateway.guards import CertificateGuard, Guards, KeyGuard
from plimsoll.gateway.tls import Application
from plimsoll.gateway.tls_door import TlsDoor
from plimsoll.monitoring.guard_metrics import MOST_NAMES, GuardMetrics

AUTHORITY = Authority()
KEY, OTHER = b"a-key-of-enough-characters", b"another-key-of-enough-characters"


def tls(path: Path, **more: object) -> TlsSettings:
    return TlsSettings.model_validate({"secret": "gateway-tls", "folder": str(path / "tls"), **more})


def keys(path: Path) -> KeySettings:
    return KeySettings(secret="gateway-keys", folder=str(path / "keys"))  # noqa: S106 - its name


# ---- certificates ----
def test_a_new_certificate_is_in_use_once_it_is_mounted(tmp_path: Path) -> None:
    mount(tmp_path / "tls", AUTHORITY.issue().files)
    guard = CertificateGuard(tls(tmp_path))
    assert guard.look()
    first = guard.current
    assert not guard.look()
    mount(tmp_path / "tls", AUTHORITY.issue(ends=timedelta(days=20)).files)
    assert guard.look()
    assert first is not None
    assert guard.current is not None
    assert guard.current.ends_at > first.ends_at
    assert guard.problem == ""


BROKEN: dict[str, dict[str, bytes]] = {
    "no entries": {},
    "another's key": {"tls.crt": AUTHORITY.issue().certificate, "tls.key": AUTHORITY.issue().key},
    "garbage": {"tls.crt": b"garbage", "tls.key": b"garbage"},
    "expired": AUTHORITY.issue(begins=timedelta(days=-2), ends=timedelta(days=-1)).files,
    "of tomorrow": AUTHORITY.issue(begins=timedelta(days=1)).files,
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_leaves_the_old_one_in_use_and_says_so_once(case: str, tmp_path: Path) -> None:
    mount(tmp_path / "tls", AUTHORITY.issue().files)
    guard = CertificateGuard(tls(tmp_path))
    guard.look()
    good = guard.current
    assert good is not None
    mount(tmp_path / "tls", BROKEN[case])
    assert guard.look()
    assert not guard.look()
    assert guard.current is good
    assert guard.problem.startswith("Secret gateway-tls cannot be used: ")
    assert guard.problem.endswith(f"The certificate that ends at {good.ends_at.isoformat()} stays in use.")
    mount(tmp_path / "tls", AUTHORITY.issue().files)
    assert guard.look()
    assert (guard.problem, guard.current is good) == ("", False)


def test_without_one_before_a_broken_one_lets_nobody_in(tmp_path: Path) -> None:
    mount(tmp_path / "tls", BROKEN["garbage"])
    guard = CertificateGuard(tls(tmp_path))
    assert guard.look()
    assert guard.current is None
    assert guard.problem.endswith("Without a certificate nobody is let in.")


def test_one_that_has_expired_is_better_than_none(tmp_path: Path) -> None:
    mount(tmp_path / "tls", BROKEN["expired"])
    guard = CertificateGuard(tls(tmp_path))
    guard.look()
    assert guard.current is not None
    assert "expired at" in guard.problem
    assert guard.problem.endswith("renew it.")


def test_one_of_tomorrow_is_in_use_tomorrow(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    mount(tmp_path / "tls", AUTHORITY.issue().files)
    guard = CertificateGuard(tls(tmp_path), lambda: now)
    guard.look()
    mount(tmp_path / "tls", AUTHORITY.issue(begins=timedelta(days=1)).files)
    guard.look()
    assert "valid only from" in guard.problem
    now += timedelta(days=2)
    assert guard.look()
    assert guard.problem == ""


def test_other_authorities_of_clients_are_taken_as_they_are_mounted(tmp_path: Path) -> None:
    settings = tls(tmp_path, client_folder=str(tmp_path / "clients"))
    mount(tmp_path / "tls", AUTHORITY.issue().files)
    mount(tmp_path / "clients", {})
    guard = CertificateGuard(settings)
    guard.look()
    assert guard.current is None
    assert "ca.crt has no certificates" in guard.problem
    mount(tmp_path / "clients", {"ca.crt": AUTHORITY.pem})
    assert guard.look()
    first = guard.current
    mount(tmp_path / "clients", {"ca.crt": Authority().pem})
    assert guard.look()
    assert first is not None
    assert guard.current is not first


# ---- keys ----
def test_keys_are_exchanged(tmp_path: Path) -> None:
    mount(tmp_path / "keys", {"a": KEY})
    guard = KeyGuard(keys(tmp_path))
    assert guard.look()
    assert not guard.look()
    mount(tmp_path / "keys", {"a": OTHER})
    assert guard.look()
    assert guard.ring is not None
    assert guard.ring.find(digest_of_key(OTHER)) is not None
    assert guard.ring.find(digest_of_key(KEY)) is None


def test_a_secret_without_keys_lets_nobody_in_and_is_waited_for(tmp_path: Path) -> None:
    mount(tmp_path / "keys", {"a": b"short"})
    guard = KeyGuard(keys(tmp_path))
    guard.look()
    assert guard.ring is None
    assert "holds no key, so nobody is let in. Entry a, line 1: a key has 16" in guard.problem


def test_whoever_takes_the_last_key_away_means_it(tmp_path: Path) -> None:
    mount(tmp_path / "keys", {"a": KEY})
    guard = KeyGuard(keys(tmp_path))
    guard.look()
    mount(tmp_path / "keys", {})
    assert guard.look()
    assert guard.ring is not None
    assert guard.ring.keys == []
    assert "holds no key" in guard.problem


def test_a_folder_that_cannot_be_read_takes_no_key_away(tmp_path: Path) -> None:
    mount(tmp_path / "keys", {"a": KEY})
    guard = KeyGuard(keys(tmp_path))
    guard.look()
    (tmp_path / "keys" / "..data").unlink()
    (tmp_path / "keys" / "..data").symlink_to("..gone")
    assert guard.look()
    assert not guard.look()
    assert guard.ring is not None
    assert guard.ring.keys
    assert "stay valid" in guard.problem


def test_of_many_entries_that_are_no_keys_a_few_are_told(tmp_path: Path) -> None:
    mount(tmp_path / "keys", {"a": KEY, **{f"bad-{number}": b"short" for number in range(40)}})
    guard = KeyGuard(keys(tmp_path))
    guard.look()
    assert guard.problem.endswith("And 35 more.")
    assert len(guard.problem) < 1000


# ---- both, as a process has them ----
async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator] # noqa: ASYNC110 - what is waited for knows nothing of it
            await asyncio.sleep(0.01)


async def test_nothing_is_waited_for_where_nothing_is_wanted() -> None:
    guards = Guards(GatewayConfig())
    await guards.prepared()
    await guards.run()
    assert (guards.unready(), guards.access) == ("", None)
    assert isinstance(guards.door(Application.HTTP1, b""), PlainDoor)


async def test_requests_are_taken_when_there_is_a_certificate_and_a_key(tmp_path: Path) -> None:
    guards = Guards(GatewayConfig(tls=tls(tmp_path), keys=keys(tmp_path)), period_s=0.01)
    running = asyncio.create_task(guards.run())
    mount(tmp_path / "tls", BROKEN["garbage"])
    mount(tmp_path / "keys", {})
    await until(lambda: "gateway-tls" in guards.unready() and "gateway-keys" in guards.unready())
    mount(tmp_path / "tls", AUTHORITY.issue().files)
    await until(lambda: "gateway-tls" not in guards.unready())
    assert "gateway-keys" in guards.unready()
    mount(tmp_path / "keys", {"a": KEY})
    await asyncio.wait_for(guards.prepared(), 10)
    assert guards.unready() == ""
    assert guards.access is not None
    assert guards.access.judge(digest_of_key(KEY), "http") is None
    running.cancel()


@pytest.mark.parametrize(("plain_text", "told"), [(False, b"told"), (True, None)])
def test_plain_text_passes_where_the_settings_say_so(plain_text: object, told: bytes | None, tmp_path: Path) -> None:
    door = Guards(GatewayConfig(tls=tls(tmp_path, plain_text=plain_text))).door(Application.HTTP1, b"told")
    assert isinstance(door, TlsDoor)
    assert door.turned_away == told


def samples(guards: Guards) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in GuardMetrics(guards.figures).collect()
        for sample in family.samples
    }


async def test_metrics_say_until_when_and_whose_keys_are_used(tmp_path: Path) -> None:
    issued: Issued = AUTHORITY.issue()
    mount(tmp_path / "tls", issued.files)
    mount(tmp_path / "keys", {"a": KEY, "b": OTHER})
    guards = Guards(GatewayConfig(tls=tls(tmp_path), keys=keys(tmp_path)), period_s=0.01)
    running = asyncio.create_task(guards.run())
    await asyncio.wait_for(guards.prepared(), 10)
    assert guards.access is not None
    guards.access.judge(digest_of_key(KEY), "http")
    guards.access.judge(Fault.NONE, "grpc")
    mount(tmp_path / "tls", {})
    await until(lambda: guards.figures().problems["tls"])
    running.cancel()
    said = samples(guards)
    end = said.pop(("plimsoll_gateway_certificate_expiry_timestamp_seconds",))
    assert timedelta(days=6) < datetime.fromtimestamp(end, UTC) - datetime.now(UTC) < timedelta(days=7)
    assert said == {
        ("plimsoll_gateway_guard_problem", "tls"): 1,
        ("plimsoll_gateway_guard_problem", "keys"): 0,
        ("plimsoll_gateway_keys",): 2,
        ("plimsoll_gateway_key_requests_total", "a"): 1,
        ("plimsoll_gateway_key_requests_total", "b"): 0,
        ("plimsoll_gateway_key_denials_total", "grpc", "no_key"): 1,
    }


async def test_metrics_have_a_bound_however_many_keys_there_are(tmp_path: Path) -> None:
    mount(tmp_path / "keys", {f"team-{number}": b"%s-%d" % (KEY, number) for number in range(MOST_NAMES + 20)})
    guards = Guards(GatewayConfig(keys=keys(tmp_path)), period_s=0.01)
    running = asyncio.create_task(guards.run())
    await asyncio.wait_for(guards.prepared(), 10)
    running.cancel()
    named = [labels for name, *labels in samples(guards) if name == "plimsoll_gateway_key_requests_total"]
    assert len(named) == MOST_NAMES + 1
    assert ["(others)"] in named


async def test_no_key_is_ever_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mount(tmp_path / "keys", {"a": KEY + b"\n" + b"short-secret", "b": b"two words of a secret"})
    guards = Guards(GatewayConfig(keys=keys(tmp_path)), period_s=0.01)
    running = asyncio.create_task(guards.run())
    await asyncio.wait_for(guards.prepared(), 10)
    running.cancel()
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert "gateway-keys" in logged
    assert "secret" not in logged.replace("Secret gateway-keys", "")
    assert KEY.decode() not in logged
