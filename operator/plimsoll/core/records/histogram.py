"""Latencies in 48 buckets, each a quarter wider than the one before: exact to merge, quantiles within 25 %.

Bucket 0 ends at 1 ms, bucket 46 at 28.7 s, and bucket 47 is everything above. Below 1 ms a request is mostly network
and framing, which no revision is to blame for; above 28.7 s it is late by any objective that a person waits for. The
bounds are part of the wire format: other ones are another version of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BUCKETS = 48
RATIO = 1.25
_FIRST_BOUND_US = 1000
_US = 1e6
_ROUNDING_DIGITS = 9
"""0.07 * 100 is 7.000000000000001 in floating point, and rank 7 is meant."""

BOUNDS_S: tuple[float, ...] = tuple(round(_FIRST_BOUND_US * RATIO**power) / _US for power in range(BUCKETS - 1))
"""Upper bounds of all buckets but the last, inclusive, in seconds; whole microseconds."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """What a histogram says about a quantile.

    Attributes:
        value_s: Where it probably is, in seconds: by its rank within the bucket, on a logarithmic scale. In the last
            bucket, which has no end, and in the first, which begins at 0, the bound that is known.
        low_s, high_s: Where it certainly is: above `low_s`, at most `high_s` (infinite in the last bucket).
    """

    value_s: float
    low_s: float
    high_s: float


def bucket_of(latency_s: float) -> int:
    """Returns the bucket of a latency in seconds."""
    return bisect_left(BOUNDS_S, latency_s)


def quantile(counts: Sequence[int], q: float) -> Quantile | None:
    """Returns the smallest latency that at least the share `q` of the samples do not exceed; None without samples.

    Args:
        counts: shape (48,).
        q: between 0, exclusive, and 1, inclusive.
    """
    rank = max(1, math.ceil(round(q * sum(counts), _ROUNDING_DIGITS)))
    below = 0
    for bucket, count in enumerate(counts):
        if below + count >= rank:
            return _within(bucket, (rank - below) / count)
        below += count
    return None


def _within(bucket: int, share: float) -> Quantile:
    low = BOUNDS_S[bucket - 1] if bucket else 0.0
    if bucket == BUCKETS - 1:
        return Quantile(low, low, math.inf)
    high = BOUNDS_S[bucket]
    return Quantile(min(high, low * (high / low) ** share) if low else high, low, high)


def above(counts: Sequence[int], limit_s: float) -> tuple[int, int]:
    """Returns the fewest and the most samples that can have exceeded `limit_s`: equal where that is a bound."""
    bucket = bucket_of(limit_s)
    most = sum(counts[bucket:])
    at_its_end = bucket < len(BOUNDS_S) and BOUNDS_S[bucket] == limit_s
    surely = sum(counts[bucket + 1 :])
    return (surely, surely) if at_its_end else (surely, most)


def sparse(counts: Sequence[int]) -> dict[int, int]:
    """Returns the buckets that hold something: bucket to count, ascending."""
    return {bucket: count for bucket, count in enumerate(counts) if count}


def add(counts: list[int], more: Mapping[int, int]) -> None:
    """Adds a sparse histogram to a dense one of shape (48,), in place."""
    for bucket, count in more.items():
        counts[bucket] += count
