"""Where a store is that gateways share."""

from __future__ import annotations

import pytest

from plimsoll.core.cache.remote_address import RemoteAddress, address_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RemoteAddress("cache", 6379, 0, tls=False)),
        ("redis://cache.shop.svc:6380/", RemoteAddress("cache.shop.svc", 6380, 0, tls=False)),
        ("rediss://10.0.0.7:6379/3", RemoteAddress("10.0.0.7", 6379, 3, tls=True)),
        ("redis://[fd00::1]:6379", RemoteAddress("fd00::1", 6379, 0, tls=False)),
    ],
)
def test_a_url(url: str, address: RemoteAddress) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "redis://",
        "redis://user:hush@cache:6379",
        "redis://:hush@cache",
        "redis://cache:0",
        "redis://cache:65536",
        "redis://cache/name",
        "redis://cache?db=1",
        "redis://cache\n",
        "unix:///run/redis.sock",
    ],
)
def test_what_is_none_is_refused_without_a_secret_in_the_message(url: str) -> None:
    with pytest.raises(ValueError, match="must be redis://HOST:PORT") as refused:
        address_of(url)
    assert "hush" not in str(refused.value)
