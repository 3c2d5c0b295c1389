"""Functions of reals in float32, as ONNX Runtime's kernels compute them.

Exponentials and error functions are computed in float64 and rounded: the kernels' own approximations may differ from
that in the last place of a float32, so a code that is made of one only where it lies on a tie. Sigmoid and tanh are the
kernels' own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.numerics.onnxruntime.float32 import Float32Array, fused_multiply_add


def identity(values: Float32Array) -> Float32Array:
    """Return the values."""
    return values


def relu(values: Float32Array) -> Float32Array:
    """``max(x, 0)``."""
    return np.maximum(values, np.float32(0))


@dataclass(frozen=True, slots=True)
class OddQuotient:
    """``x P(x x) / Q(x x)`` of x between -limit and limit; coefficients begin with that of the highest power."""

    limit: float
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate, each polynomial by fused multiply-adds."""
        clamped = np.clip(values, np.float32(-self.limit), np.float32(self.limit))
        squares = clamped * clamped
        return _polynomial(squares, self.numerator) * clamped / _polynomial(squares, self.denominator)


def _polynomial(values: Float32Array, coefficients: tuple[float, ...]) -> Float32Array:
    first, *others = (np.float32(coefficient) for coefficient in coefficients)
    total = np.full_like(values, first)
    for coefficient in others:
        total = fused_multiply_add(total, values, coefficient)
    return total


SIGMOID_QUOTIENT = OddQuotient(
    18.0,
    (4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03, 2.48287947061529e-01),
    (
        6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03,
        1.16817656904453e-01, 9.93151921023180e-01,
    ),
)  # fmt: skip
TANH_QUOTIENT = OddQuotient(
    9.0,
    (
        -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
        1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
    ),
    (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03),
)  # fmt: skip


def sigmoid(values: Float32Array) -> Float32Array:
    """``1 / (1 + exp(-x))``, by a quotient of polynomials that may end a bit above 1.

    Source: MLAS, ``logistic.cpp`` and ``LogisticKernelFma3.S``.
    """
    return np.maximum(SIGMOID_QUOTIENT(values) + np.float32(0.5), np.float32(0))


def tanh(values: Float32Array) -> Float32Array:
    """Hyperbolic tangent, by a quotient of polynomials.

    Source: MLAS, ``tanh.cpp`` and ``TanhKernelFma3.S``.
    """
    return TANH_QUOTIENT(values)


def exponential(values: Float32Array) -> Float32Array:
    """``exp(x)``."""
    with np.errstate(over="ignore"):
        return np.exp(values.astype(np.float64)).astype(np.float32)


def softmax(values: Float32Array) -> Float32Array:
    """``exp(x - max) / sum`` along the last axis, in float64, rounded once."""
    real = values.astype(np.float64)
    powers = np.exp(real - real.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def log_softmax(values: Float32Array) -> Float32Array:
    """``x - max - log(sum of exp(x - max))`` along the last axis."""
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - logarithm(exponential(shifted).sum(axis=-1, keepdims=True, dtype=np.float32))


def logarithm(values: Float32Array) -> Float32Array:
    """``log(x)``."""
    return np.log(values.astype(np.float64)).astype(np.float32)


def power(values: Float32Array, exponents: Float32Array) -> Float32Array:
    """``x**y``; squares and cubes are products."""
    if np.all(exponents == 2):
        return values * values
    if np.all(exponents == 3):
        return values * values * values
    return np.power(values.astype(np.float64), exponents.astype(np.float64)).astype(np.float32)


def softplus(values: Float32Array) -> Float32Array:
    """``log(1 + exp(x))``."""
    return np.logaddexp(values.astype(np.float64), 0.0).astype(np.float32)


def softsign(values: Float32Array) -> Float32Array:
    """``x / (1 + |x|)``."""
    return np.asarray(values / (np.float32(1) + np.abs(values)), np.float32)


def mish(values: Float32Array) -> Float32Array:
    """``x tanh(log(1 + exp(x)))``."""
    real = values.astype(np.float64)
    return (real * np.tanh(np.logaddexp(real, 0.0))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Elu:
    """``x``, or ``slope (exp(x) - 1)`` where x is negative."""

    slope: np.float32

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate."""
        below = np.expm1(np.minimum(values.astype(np.float64), 0.0)).astype(np.float32)
        return np.where(values >= 0, values, self.slope * below)


@dataclass(frozen=True, slots=True)
class Celu:
    """``max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)``."""

    alpha: np.float32

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate."""
        below = np.expm1(np.minimum(values / self.alpha, np.float32(0)).astype(np.float64)).astype(np.float32)
        return np.maximum(values, np.float32(0)) + self.alpha * below


def leaky_relu(values: Float32Array, slope: Float32Array) -> Float32Array:
    """``x``, or ``slope x`` where x is negative."""
    return np.asarray(np.where(values >= 0, values, slope * values), np.float32)


@dataclass(frozen=True, slots=True)
class LeakyRelu:
    """`leaky_relu` of one slope."""

    slope: np.float32

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate."""
        return leaky_relu(values, np.asarray(self.slope))


@dataclass(frozen=True, slots=True)
class Clip:
    """``min(max(x, low), high)``."""

    low: np.float32
    high: np.float32

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate."""
        return np.clip(values, self.low, self.high)


@dataclass(frozen=True, slots=True)
class HardSigmoid:
    """``min(max(slope x + offset, 0), 1)``."""

    slope: np.float32
    offset: np.float32

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate."""
        return np.clip(self.slope * values + self.offset, np.float32(0), np.float32(1))


def hard_swish(values: Float32Array) -> Float32Array:
    """``x min(max(x / 6 + 1 / 2, 0), 1)``."""
    return values * HardSigmoid(np.float32(1 / 6), np.float32(0.5))(values)


def _exact_erf(values: Float32Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(values.astype(np.float64)), np.float64)


def erf(values: Float32Array) -> Float32Array:
    """Error function."""
    return _exact_erf(values).astype(np.float32)


def gelu(values: Float32Array) -> Float32Array:
    """``x / 2 (1 + erf(x / sqrt 2))``."""
    return (0.5 * values * (1.0 + _exact_erf(values / np.float32(math.sqrt(2.0))))).astype(np.float32)


def gelu_by_tanh(values: Float32Array) -> Float32Array:
    """``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``."""
    real = values.astype(np.float64)
    return (0.5 * real * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (real + 0.044715 * real**3)))).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class LayerNormalization:
    """``(x - mean) / sqrt(variance + epsilon)`` over ``axes``, times a scale, plus a shift: ``factors``."""

    axes: tuple[int, ...]
    epsilon: np.float32
    factors: tuple[Float32Array, Float32Array]

    def __call__(self, values: Float32Array) -> Float32Array:
        """Evaluate."""
        real = values.astype(np.float64)
        centred = real - real.mean(axis=self.axes, keepdims=True)
        variance = (centred * centred).mean(axis=self.axes, keepdims=True)
        scale, shift = self.factors
        return np.asarray(centred / np.sqrt(variance + self.epsilon) * scale + shift, np.float32)
