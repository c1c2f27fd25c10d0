"""Arithmetic whose results are the same bits on every IEEE 754 machine.

Matrix products add in an order that depends on the BLAS, its threads and the CPU, and `exp` depends on the vector
unit; training amplifies a last bit into another model. Here every operand of a sum is first rounded to a binary grid
coarse enough that all sums fit the 53 bits of a float64. Such sums are exact, so their order cannot matter. What is
left is element-wise +, -, *, / and sqrt, which the standard defines to the last bit.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

EXP_SQUARINGS = 12
PROBABILITY_BITS = 30


def on_grid(values: Array, bits: int) -> Array:
    """Round to multiples of 2**-bits, ties to even."""
    return np.rint(values * 2.0**bits) / 2.0**bits


def exp(values: Array) -> Array:
    """Approximate e**values for values <= 0, to a relative 0.003 at -5: squaring (1 + x/4096) twelve times."""
    result = np.maximum(1.0 + values / 2.0**EXP_SQUARINGS, 0.0)
    for _ in range(EXP_SQUARINGS):
        result = result * result
    return result


def softmax(logits: Array) -> Array:
    """Probabilities per row, on a grid of 2**-30."""
    shifted = on_grid(exp(logits - logits.max(axis=1, keepdims=True)), PROBABILITY_BITS)
    return on_grid(shifted / shifted.sum(axis=1, keepdims=True), PROBABILITY_BITS)


def uniform(seed: int, shape: tuple[int, ...]) -> Array:
    """Numbers in [-1, 1) from the raw PCG64 stream: NumPy promises that stream for all versions, `random()` not."""
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return (raw >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-52 - 1.0
