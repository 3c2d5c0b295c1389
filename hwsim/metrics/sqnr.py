"""How well a quantized network's outputs match: signal-to-quantization-noise ratio and accuracy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def sqnr_db(reference: ArrayLike, approximation: ArrayLike) -> float:
    """Return the signal-to-quantization-noise ratio ``10 log10(Σ ref² / Σ (ref − approx)²)`` in dB.

    Infinite when both are equal (also when both are zero), minus infinity when only the reference is zero.

    Raises:
        ValueError: the shapes differ, or there are no values.
    """
    exact = np.asarray(reference, dtype=np.float64)
    approximate = np.asarray(approximation, dtype=np.float64)
    if exact.shape != approximate.shape or exact.size == 0:
        raise ValueError(
            f"reference {exact.shape} and approximation {approximate.shape} must have one shape with values"
        )
    signal = float(np.sum(exact**2))
    noise = float(np.sum((exact - approximate) ** 2))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the fraction of samples whose largest logit is their label's; of equal ones the first counts.

    ``logits`` has one row per sample (further axes are taken as one), ``labels`` one class index per sample.

    Raises:
        ValueError: there are no samples, the numbers of samples differ, or a logit is NaN.
    """
    scores, truth = np.asarray(logits), np.asarray(labels).reshape(-1)
    if scores.ndim < 2 or len(scores) != len(truth) or len(truth) == 0:
        raise ValueError(f"logits {scores.shape} must have one row for each of {len(truth)} labels, at least one")
    rows = scores.reshape(len(scores), -1)
    if np.isnan(rows).any():
        raise ValueError("logits contain NaN")
    return float(np.mean(rows.argmax(axis=1) == truth))
