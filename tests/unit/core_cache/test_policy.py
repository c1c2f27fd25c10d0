"""What `spec.cache` means in numbers."""

from __future__ import annotations

import pytest

from plimsoll.api.cache import Cache
from plimsoll.core.cache.policy import CachePolicy, policy_of


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        (None, None),
        (Cache(), CachePolicy(300.0, 64 << 20, (), 0.01)),
        (
            Cache(ttl="1m30s", max_bytes="1Gi", parameters=["top_k", "seed"], recheck="0%"),
            CachePolicy(90.0, 1 << 30, ("seed", "top_k"), 0.0),
        ),
        (Cache(max_bytes="1500m", recheck="100%"), CachePolicy(300.0, 1, (), 1.0)),
    ],
)
def test_policy(spec: Cache | None, policy: CachePolicy | None) -> None:
    assert policy_of(spec) == policy
