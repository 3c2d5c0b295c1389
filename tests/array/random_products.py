"""Random arrays and products: every dataflow, width, sign, policy and overlap, partial tiles, operands at the ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwsim.array.params import ArrayParams, array_params
from hwsim.numerics.formats import IntFormat

OVERLAPS = {
    "output_stationary": ["none", "drain", "full"],
    "weight_stationary": ["none", "full"],
    "input_stationary": ["none", "full"],
}


@dataclass(frozen=True)
class Product:
    """One product on one array; its repr says how to build it again."""

    params: ArrayParams
    activations: np.ndarray
    weights: np.ndarray
    initial: np.ndarray
    max_events: int | None

    @property
    def arguments(self) -> tuple[ArrayParams, np.ndarray, np.ndarray, np.ndarray, int | None]:
        return self.params, self.activations, self.weights, self.initial, self.max_events


def random_operand(random: np.random.Generator, word: IntFormat, shape: tuple[int, ...]) -> np.ndarray:
    """Draw codes: anywhere, at both ends of the range, or mostly zero."""
    kind = random.choice(["anywhere", "ends", "sparse"], p=[0.6, 0.25, 0.15])
    if kind == "ends":
        return random.choice(np.array([word.min, word.max]), shape)
    codes = random.integers(word.min, word.max, shape, endpoint=True)
    return codes * (random.random(shape) < 0.3) if kind == "sparse" else codes


def random_params(random: np.random.Generator, largest_side: int) -> ArrayParams:
    """Draw an array; few guard bits are likely, so that overflows are."""
    dataflow = str(random.choice(list(OVERLAPS)))
    weight_bits, activation_bits = (int(bits) for bits in random.integers(2, 17, 2))
    fewest = max(-4, 2 - weight_bits - activation_bits)
    return array_params(
        *(int(side) for side in random.integers(1, largest_side + 1, 2)),
        dataflow,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        guard_bits=int(random.integers(fewest, 9)) if random.random() < 0.4 else int(random.integers(fewest, 2)),
        overflow=random.choice(["wrap", "saturate"]),
        activations_signed=bool(random.random() < 0.6),
        weights_signed=bool(random.random() < 0.7),
        fold_overlap=str(random.choice(OVERLAPS[dataflow])),
    )


def random_products(seed: int, count: int, largest_side: int = 6, largest_size: int = 16) -> Iterator[Product]:
    """Yield ``count`` products; the same for the same seed."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        params = random_params(random, largest_side)
        out_rows, depth, out_cols = (int(size) for size in random.integers(1, largest_size + 1, 3))
        starts = np.zeros((out_rows, out_cols), np.int64)
        if random.random() < 0.4:
            starts = random_operand(random, params.accumulator, starts.shape)
        yield Product(
            params,
            random_operand(random, params.activations, (out_rows, depth)),
            random_operand(random, params.weights, (depth, out_cols)),
            starts,
            random.choice(np.array([None, 0, 1, 5, 40])),
        )
