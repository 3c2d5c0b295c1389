"""Random products on random arrays, with random units behind them: everything follows from the case's number."""

from dataclasses import dataclass

import numpy as np

from hwsim.array.params import ArrayParams, array_params
from hwsim.numerics.formats import IntArray, IntFormat
from hwsim.numerics.lut import FUNCTIONS, Lut, LutOptions, build_lut
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.requantize import Requantizer, RequantizerOptions, build_requantizer

OVERLAPS = {
    "output_stationary": ("none", "drain", "full"),
    "weight_stationary": ("none", "full"),
    "input_stationary": ("none", "full"),
}


@dataclass(frozen=True)
class Case:
    params: ArrayParams
    activations: IntArray
    weights: IntArray
    requantizer: Requantizer | None = None
    lut: Lut | None = None
    bias: IntArray | None = None

    def units(self):
        return {"requantizer": self.requantizer, "lut": self.lut, "bias": self.bias}


def random_params(rng: np.random.Generator) -> ArrayParams:
    dataflow = str(rng.choice(list(OVERLAPS)))
    weight_bits, activation_bits = (int(bits) for bits in rng.integers(2, 17, 2))
    return array_params(
        int(rng.integers(1, 17)),
        int(rng.integers(1, 17)),
        dataflow,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        guard_bits=int(rng.integers(-2, 7) if rng.random() < 0.85 else rng.integers(7, 31)),
        overflow=str(rng.choice(["wrap", "saturate"])),
        activations_signed=bool(rng.integers(2)),
        weights_signed=bool(rng.integers(2)),
        fold_overlap=str(rng.choice(OVERLAPS[dataflow])),
    )


def operand(rng: np.random.Generator, word: IntFormat, shape: tuple[int, int]) -> IntArray:
    """Codes over the whole range, or mostly at its ends, or small."""
    codes = rng.integers(word.min, word.max + 1, shape)
    style = rng.integers(4)
    if style == 0:
        ends = np.where(rng.integers(0, 2, shape) == 1, word.max, word.min)
        codes = np.where(rng.random(shape) < 0.8, ends, codes)
    elif style == 1:
        codes = codes // 4
    return codes.astype(np.int64)


def random_case(number: int, *, with_units: bool = True) -> Case:
    rng = np.random.default_rng(number)
    params = random_params(rng)
    longest = rng.choice([6, 40], 3)  # streams shorter than the array is high, too
    out_rows, depth, out_cols = (int(size) for size in rng.integers(1, longest + 1))
    activations = operand(rng, params.activations, (out_rows, depth))
    weights = operand(rng, params.weights, (depth, out_cols))
    if not with_units or rng.random() < 0.3:
        return Case(params, activations, weights)
    requantizer = random_requantizer(rng, params, out_cols)
    bias = rng.integers(-1000, 1000, out_cols) if rng.random() < 0.5 else None
    lut = random_lut(rng) if rng.random() < 0.6 else None
    return Case(params, activations, weights, requantizer, lut, bias)


def random_requantizer(rng: np.random.Generator, params: ArrayParams, channels: int) -> Requantizer:
    """Multipliers that spread the accumulators over the output's range, some far off it."""
    bits = params.accumulator.bits
    scheme = str(rng.choice(["fixed_point", "power_of_two"], p=[0.75, 0.25]))
    roundings = ["single", "floor", "half_even", *(["double"] if bits <= 31 else [])]
    rounding = str(rng.choice(roundings))
    multiplier_bits = 31 if rounding == "double" else int(rng.integers(8, 33))
    signed = bool(rng.integers(2))
    zero_point = np.int64(rng.integers(-20, 20) if signed else rng.integers(0, 40))
    output = Quantization(np.float64(1.0), zero_point, IntFormat(8, signed))
    per_channel = rng.integers(2)
    scale = 2.0 ** rng.uniform(-bits - 2, 12 - bits, channels if per_channel else ())
    if rng.random() < 0.2:
        scale = scale * 2.0**bits  # shifts to the left
    options = RequantizerOptions(scheme, rounding, multiplier_bits)
    activation = str(rng.choice(["none", "relu", "relu6"]))
    return build_requantizer(1.0, np.asarray(scale), output, activation, options)


def random_lut(rng: np.random.Generator) -> Lut:
    options = LutOptions(
        entries=int(rng.choice([2, 3, 17, 64, 200, 256])),
        output_bits=int(rng.choice([6, 8])),
        interpolation=str(rng.choice(["none", "linear"])),
    )
    inputs = Quantization(np.float64(rng.uniform(0.01, 0.2)), np.int64(rng.integers(-10, 10)), IntFormat(9))
    output = Quantization(np.float64(1 / 128), np.int64(rng.integers(0, 8)), IntFormat(8, bool(rng.integers(2))))
    return build_lut(FUNCTIONS[str(rng.choice(["sigmoid", "tanh"]))], inputs, output, options)
