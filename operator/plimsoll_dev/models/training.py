"""Trains the digit classifiers: one hidden layer, full-batch gradient descent with momentum, the same bytes anywhere.

Bits needed by the widest sum, the gradient of the weights over 1,078 rows (11 bits): activations below 2**6 on
a grid of 2**-10 (16 bits) times errors below 1 on a grid of 2**-20 (20 bits) = 47 of the 53 bits a float64 holds.

The weights used in the forward pass, and shipped, are multiples of 1/64. With pixels in sixteenths a hidden value is a
multiple of 2**-10 and a logit one of 2**-16; below 256 a float32 holds that exactly. So the *served* logits do not
depend on CPU, batch size or order of summation either.
"""

import math
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from plimsoll_dev.models.dataset import Rows
from plimsoll_dev.models.exact import Array, on_grid, softmax, uniform
from plimsoll_dev.models.images import CLASSES, INK_MAX, SIDE

WEIGHT_BITS = 6
HIDDEN_BITS = 10
ERROR_BITS = 20
MOMENTUM = 0.9


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes one training run: hidden units, seed of the first weights, passes over the data, step size."""

    hidden: int
    seed: int
    passes: int
    step: float
    decay: float = 0.0


@dataclass(frozen=True, slots=True)
class Network:
    """Weights and biases of the two layers, as multiples of 1/64."""

    first: Array
    first_bias: Array
    second: Array
    second_bias: Array

    def hidden(self, images: Array) -> Array:
        """Values of the hidden units."""
        return np.maximum(images / INK_MAX @ self.first + self.first_bias, 0.0)

    def logits(self, images: Array) -> Array:
        """Scores per digit before the softmax."""
        return self.hidden(images) @ self.second + self.second_bias


def train(rows: Rows, recipe: Recipe) -> Network:
    """Fit a network to the rows; equal arguments give equal bits."""
    # One thread, for speed only: matrices this small cost more to share than to multiply.
    with threadpool_limits(1):
        weights = _first_weights(recipe)
        speeds = [np.zeros_like(weight) for weight in weights]
        wanted = np.eye(CLASSES)[rows.labels]
        for _ in range(recipe.passes):
            gradients = _gradients(_rounded(weights), rows, wanted)
            speeds = [
                MOMENTUM * speed - recipe.step * (gradient + recipe.decay * weight)
                for weight, speed, gradient in zip(weights, speeds, gradients, strict=True)
            ]
            weights = [weight + speed for weight, speed in zip(weights, speeds, strict=True)]
        return _rounded(weights)


def _first_weights(recipe: Recipe) -> list[Array]:
    inputs = SIDE * SIDE
    return [
        uniform(recipe.seed, (inputs, recipe.hidden)) * math.sqrt(6.0 / (inputs + recipe.hidden)),
        np.zeros(recipe.hidden),
        uniform(recipe.seed + 1, (recipe.hidden, CLASSES)) * math.sqrt(6.0 / (recipe.hidden + CLASSES)),
        np.zeros(CLASSES),
    ]


def _rounded(weights: list[Array]) -> Network:
    return Network(*(on_grid(weight, WEIGHT_BITS) for weight in weights))


def _gradients(network: Network, rows: Rows, wanted: Array) -> list[Array]:
    """Gradients of the mean cross-entropy. Every matrix product here is exact: see the module's bit count."""
    hidden = network.hidden(rows.images)
    count = len(rows.images)
    error = on_grid(softmax(network.logits(rows.images)) - wanted, ERROR_BITS)
    hidden_error = on_grid(error @ network.second.T, ERROR_BITS) * (hidden > 0.0)
    pixels = rows.images / INK_MAX
    return [
        (pixels.T @ hidden_error) / count,
        hidden_error.sum(axis=0) / count,
        (hidden.T @ error) / count,
        error.sum(axis=0) / count,
    ]
