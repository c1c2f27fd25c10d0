"""Does memory grow with every request, or did an allocator merely make itself comfortable?

Growth counts as a leak when all of this holds:

1. the lower 95 % bound of the slope over the whole run is above the floor;
2. nine of ten pairs of samples grow (Kendall's tau above 0.8): growth is steady, not a few lucky pairs;
3. second half and last quarter grow by more than the floor;
4. the last quarter grows at least half as fast as the quarter before: a bounded cache that fills does not.

The few largest steps are taken out first: an arena that grows once says nothing about the next request.

What stays undecidable is a cache that needs longer than the run to fill, and a leak in a few large lumps: the first is
called a leak, the second is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import MemorySlope

MINIMUM_SAMPLES: Final = 40
"""Below, a quarter of the run has fewer than ten samples, and its slope is noise."""
FLOOR_BYTES_PER_REQUEST: Final = 128.0
"""Twice what a Triton without a leak was measured to grow: its own bookkeeping, 38 to 64 bytes a request."""

_MOST_SAMPLES = 600
"""More are thinned evenly: 600 have 179,700 pairs, which is milliseconds."""
_STEADY_TAU = 0.8
_PERSISTING_SHARE = 0.5
"""A cache that fills exponentially, with a third of the run as its time constant, slows to 0.47 from one quarter of the
run to the next; a quicker one to less."""
_Z_95 = 1.959964

_MOST_STEPS = 4
"""More than that, all of them up, is growth: some allocators pass a leak on in lumps."""
_STEP_REACH = 5
"""Samples on either side whose medians tell a step from a passing peak."""
_THEREABOUTS = 41
"""Samples. A step is in ten changes of level, a minority of these."""
_STEP_DEVIATIONS = 6.0
"""Standard deviations above which a change of level is a step and not noise."""
_SD_PER_MEDIAN_DEVIATION = 1.4826
"""Of a normal distribution."""

_PLANTED_STEP = 1.25
_MARGIN = 1.001
"""The conditions ask for more than a bound, not for the bound itself."""

_HOST_GRAIN = 4096
"""Bytes. Resident memory is counted in pages."""
_GPU_GRAIN = 2 * 1024 * 1024
"""Bytes. CUDA maps device memory in pieces of 2 MiB (CUDA driver API, cuMemGetAllocationGranularity)."""
_GRAINS_IN_SECOND_HALF = 16
"""Fewer could pass for steps, or fall unevenly into its two quarters."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Growth:
    """Slopes in bytes per request."""

    slope: float
    low: float
    high: float
    steady: float
    """Slope that 90 % of the pairs exceed: above 0 exactly where Kendall's tau, ties counted as no growth, is above
    0.8."""
    second_half: float
    third_quarter: float
    last_quarter: float

    def leaking(self) -> bool:
        return (
            self.low > FLOOR_BYTES_PER_REQUEST
            and self.steady > 0
            and min(self.second_half, self.last_quarter) > FLOOR_BYTES_PER_REQUEST
            and self.last_quarter >= self.third_quarter * _PERSISTING_SHARE
        )

    def bound_of_detectable(self) -> float:
        """Steady leak that `leaking` would have found in this run's noise, as far as slopes alone tell.

        The noise is what remains without the persisting slope. A leak of L bytes per request on top of it adds L to
        every slope, so each condition of `leaking` gives a bound on L.
        """
        return max(
            FLOOR_BYTES_PER_REQUEST + self.second_half - self.low,
            FLOOR_BYTES_PER_REQUEST + max(self.second_half - self.last_quarter, 0.0),
            self.second_half - self.steady,
            self.second_half + (_PERSISTING_SHARE * self.third_quarter - self.last_quarter) / (1 - _PERSISTING_SHARE),
        )


def memory_slope(device: str, requests: NDArray[np.int64], resident_bytes: NDArray[np.int64]) -> MemorySlope:
    """Judges the growth of one memory over a run of equal requests after warm-up with the largest batch.

    The slope is the median over all pairs of samples, steps taken out, with Sen's interval (Sen, "Estimates of the
    regression coefficient based on Kendall's tau", Journal of the American Statistical Association 63, 1968); up to
    29 % of outliers do not move it. Ties among the samples would only narrow the interval, and are not counted.
    Successive samples of a real process are not independent, so the interval is too narrow on its own: the other
    conditions make up for that.

    Args:
        device: `host`, or `gpu0`, `gpu1`, ….
        requests: shape (n,), requests sent until each sample; never falling, and about evenly spaced.
        resident_bytes: shape (n,).

    Raises:
        ValueError: fewer than `MINIMUM_SAMPLES` samples, arrays of different length, or no requests in between.

    """
    if requests.shape != resident_bytes.shape or requests.ndim != 1:
        raise ValueError(f"{requests.shape} request counts for {resident_bytes.shape} samples of memory")
    if requests.size < MINIMUM_SAMPLES:
        raise ValueError(f"{requests.size} samples of memory, of {MINIMUM_SAMPLES} needed")
    x, y = _thinned(requests), _thinned(resident_bytes)
    growth = _growth(x, y)
    return MemorySlope(
        device=device,
        requests=int(requests[-1] - requests[0]),
        start_bytes=int(resident_bytes[0]),
        end_bytes=int(resident_bytes[-1]),
        bytes_per_request=growth.slope,
        low=growth.low,
        high=growth.high,
        second_half=growth.second_half,
        detectable=_detectable(x, y, growth, _grain(device)),
        leaking=growth.leaking(),
    )


def _growth(x: Floats, y: Floats) -> _Growth:
    slopes = _pairwise_slopes(x, _without_steps(y))
    low, high = _sen_ranks(x.size, slopes.size)
    half = x.size // 2
    later, level = x[half:], _without_steps(y[half:])
    quarter = later.size // 2
    return _Growth(
        slope=float(np.median(slopes)),
        low=float(slopes[low]),
        high=float(slopes[high]),
        steady=float(slopes[int(slopes.size * (1 - _STEADY_TAU) / 2)]),
        second_half=_slope(later, level),
        third_quarter=_slope(later[:quarter], level[:quarter]),
        last_quarter=_slope(later[quarter:], level[quarter:]),
    )


def _detectable(x: Floats, y: Floats, growth: _Growth, grain: int) -> float:
    """Smallest steady leak in bytes per request that is found when planted in this run, to a quarter."""
    noise = y - growth.second_half * x
    coarse = grain * _GRAINS_IN_SECOND_HALF / max(x[-1] - x[x.size // 2], 1.0)
    leak = max(growth.bound_of_detectable(), coarse) * _MARGIN
    while not _growth(x, noise + leak * x).leaking():
        leak *= _PLANTED_STEP
    return float(leak)


def _thinned(samples: NDArray[np.int64]) -> Floats:
    """Returns at most `_MOST_SAMPLES`, evenly spaced, with the first and the last, less the first: exact in float64."""
    if samples.size > _MOST_SAMPLES:
        samples = samples[np.linspace(0, samples.size - 1, _MOST_SAMPLES).round().astype(np.intp)]
    relative: Floats = (samples - samples[0]).astype(np.float64)
    return relative


def _pairwise_slopes(x: Floats, y: Floats) -> Floats:
    """Slopes of all pairs with requests between them, ascending."""
    earlier, later = np.triu_indices(x.size, k=1)
    run = x[later] - x[earlier]
    apart = run > 0
    if not apart.any():
        raise ValueError("no requests were sent between the samples of memory")
    slopes: Floats = np.sort((y[later] - y[earlier])[apart] / run[apart])
    return slopes


def _slope(x: Floats, y: Floats) -> float:
    return float(np.median(_pairwise_slopes(x, y)))


def _sen_ranks(samples: int, pairs: int) -> tuple[int, int]:
    """Ranks, from 0, of the pairwise slopes that are the 95 % bounds: Kendall's statistic under no trend is normal."""
    spread = _Z_95 * np.sqrt(samples * (samples - 1) * (2 * samples + 5) / 18)
    low = round((pairs - spread) / 2) - 1
    high = round((pairs + spread) / 2)
    return max(low, 0), min(high, pairs - 1)


def _without_steps(y: Floats) -> Floats:
    """Takes out the largest lasting changes of level, one after the other, as long as they stand out from the noise.

    Nothing is taken out where more than `_MOST_STEPS` lead upwards only: that is how this memory grows.
    """
    level = y.copy()
    only_upwards = True
    for _ in range(_MOST_STEPS):
        sample, height = _largest_step(level)
        if height == 0:
            return level
        level[sample:] -= height
        only_upwards = only_upwards and height > 0
    return y if only_upwards and _largest_step(level)[1] > 0 else level


def _largest_step(level: Floats) -> tuple[int, float]:
    """First sample after the step, and its height; 0 where none stands out.

    Up counts from the usual growth thereabouts, down from none: growth that slows down or ends is no step.
    """
    changes = _changes(level)
    usual = _running_median(changes)
    noise = _SD_PER_MEDIAN_DEVIATION * float(np.median(np.abs(changes - usual))) + _HOST_GRAIN
    heights = np.maximum(changes - usual, 0.0) - np.maximum(np.minimum(usual, 0.0) - changes, 0.0)
    largest = int(np.abs(heights).argmax())
    height = float(heights[largest])
    return largest + _STEP_REACH, height if abs(height) > _STEP_DEVIATIONS * noise else 0.0


def _changes(level: Floats) -> Floats:
    """Median of the `_STEP_REACH` samples from one sample on, less that of as many before it.

    Entry 0 belongs to sample `_STEP_REACH`.
    """
    medians = np.median(np.lib.stride_tricks.sliding_window_view(level, _STEP_REACH), axis=1)
    changes: Floats = medians[_STEP_REACH:] - medians[:-_STEP_REACH]
    return changes


def _running_median(values: Floats) -> Floats:
    """Median around each value; the first and the last full window also stand for what lies outside."""
    width = min(_THEREABOUTS, values.size)
    medians: Floats = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    before = (values.size - medians.size) // 2
    return np.pad(medians, (before, values.size - medians.size - before), mode="edge")


def _grain(device: str) -> int:
    return _GPU_GRAIN if device.startswith("gpu") else _HOST_GRAIN
