"""Random quantized layers on small arrays, with codes to run them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.array.params import ArrayParams, Dataflow
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat, accumulator_format
from hwsim.numerics.quantization import Quantization

DATAFLOWS = tuple(Dataflow)


@dataclass(frozen=True)
class QuantizedLayer:
    """One layer by its tensors, so that it can be lowered for several machines."""

    operator: MatmulOperator
    tensors: dict[str, Tensor]
    codes: np.ndarray  # (samples, elements)

    def lower(self, **options: Any) -> MatmulStep:
        return self.operator.lower(self.tensors, LoweringOptions(**options))

    def quantization(self, name: str) -> Quantization:
        found = self.tensors[name].quantization
        assert found is not None
        return found


def random_layer(seed: int, *, bits: int = 4, symmetric_weights: bool = True, samples: int = 3) -> QuantizedLayer:
    """Draw a dense layer or a plain, grouped or depthwise convolution of ``bits``-bit codes."""
    random = np.random.default_rng(seed)
    word = IntFormat(bits, signed=bool(random.random() < 0.7))
    operator, shape = _dense(random) if random.random() < 0.4 else _conv2d(random)
    kernel = operator.kernel if isinstance(operator, Conv2d) else ()
    channels = operator.output_shape(shape)[-1]
    weights = random.integers(-(1 << bits - 1), 1 << bits - 1, (*kernel, shape[-1] // operator.groups, channels))
    zero_points = np.zeros(channels, np.int64) if symmetric_weights else random.integers(-3, 4, channels)
    scale = random.uniform(0.5, 2.0, channels) / 16
    tensors = {
        "x": Tensor("x", shape, quantization=_grid(0.1, int(random.integers(word.min, word.max + 1)), word)),
        "w": Tensor("w", weights.shape, weights, Quantization(scale, zero_points, IntFormat(bits), weights.ndim - 1)),
        "b": Tensor("b", (channels,), random.integers(-60, 61, channels)),
        "y": Tensor("y", operator.output_shape(shape), quantization=_grid(0.2, 1, IntFormat(8))),
    }
    codes = random.integers(word.min, word.max, (samples, int(np.prod(shape))), endpoint=True)
    return QuantizedLayer(operator, tensors, codes)


def random_array(seed: int, step: MatmulStep, dataflow: Dataflow, *, guard_bits: int, overflow: str) -> ArrayParams:
    random = np.random.default_rng(seed)
    rows, cols = (int(side) for side in random.integers(1, 6, 2))
    activations, weights = step.operand_formats
    accumulator = accumulator_format(step.weight_format.bits, step.activation_format.bits, guard_bits)
    return ArrayParams(rows, cols, dataflow, activations, weights, accumulator, overflow)  # type: ignore[arg-type]


def _grid(scale: float, zero_point: int, word: IntFormat) -> Quantization:
    return Quantization(np.asarray(scale), np.asarray(zero_point), word)


def _dense(random: np.random.Generator) -> tuple[Dense, tuple[int, ...]]:
    units, inputs = (int(size) for size in random.integers(1, 12, 2))
    return Dense("layer", ("x",), "y", "w", "b", units=units), (inputs,)


def _conv2d(random: np.random.Generator) -> tuple[Conv2d, tuple[int, ...]]:
    groups, each, filters = (int(size) for size in random.integers(1, 4, 3))
    conv = Conv2d(
        "layer", ("x",), "y", "w", "b",
        groups=groups,
        filters=groups * filters,
        kernel=(int(random.integers(1, 4)), int(random.integers(1, 4))),
        stride=(int(random.integers(1, 3)), int(random.integers(1, 3))),
        padding=str(random.choice(["same", "valid"])),
    )  # fmt: skip
    height, width = (int(size) for size in random.integers(3, 6, 2))
    return conv, (height, width, groups * each)
