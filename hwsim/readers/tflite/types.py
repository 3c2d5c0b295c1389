"""Which types of tensors an operator of a ``.tflite`` file may have."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.readers.tflite.model import FileTensor
from hwsim.readers.tflite.source import Source

REAL = "FLOAT32"
NARROW, WIDE, PACKED = "INT8", "INT16", "INT4"
CODES = (NARROW, WIDE)
WEIGHTS = {NARROW: (NARROW, PACKED), WIDE: (NARROW,), REAL: (NARROW, REAL)}
BIASES = {NARROW: ("INT32",), WIDE: ("INT64",), REAL: (REAL,)}
PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
CHANGES = ("QUANTIZE", "DEQUANTIZE", "SOFTMAX")  # operators that may write another type than they read


def check_types(source: Source) -> None:
    """Refuse tensors of other types than the operators work on.

    Raises:
        UnsupportedError: naming the tensor, its type, and the types allowed.
        ConfigError: 16-bit codes whose zero point is not 0.
    """
    kind, tensors = source.operator.kind, source.model.tensors
    inputs = [tensors[int(name)] for name in source.inputs]
    outputs = [tensors[number] for number in source.operator.outputs]
    for found in (*inputs, *outputs):
        if found.is_variable:
            raise UnsupportedError(f"{source.operator.label}: tensor {found.index} keeps its value from run to run")
    _check(source, inputs, CODES if kind == "DEQUANTIZE" else (*CODES, REAL))
    _check(source, outputs, (REAL,) if kind == "DEQUANTIZE" else (*CODES, REAL))
    reals = {found.dtype == REAL for found in (*inputs, *outputs)}
    if kind in CHANGES and (kind != "SOFTMAX" or len(reals) == 1):
        return
    if inputs:
        _check(source, (*inputs, *outputs), (inputs[0].dtype,))
    for found in (*inputs, *outputs):
        if found.dtype == WIDE and found.zero_points.any():
            raise ConfigError(f"tensor {found.index}: {WIDE} with zero point {found.zero_points[0]}; allowed: 0")
    _check_constants(source, outputs[0].dtype if outputs else NARROW)


def _check_constants(source: Source, dtype: str) -> None:
    """Check the constants that stand for reals; the others are lists of numbers."""
    constants = [source.model.tensors[int(name)] for name in source.operands if name not in source.inputs]
    if source.operator.kind in PRODUCTS:
        if dtype != REAL:
            source.constant(1)
        weights = [found for found in constants if found is source.tensor(1)]
        _check(source, weights, WEIGHTS[dtype])
        _check(source, [found for found in constants if found not in weights], BIASES[dtype])
        return
    standing = [found for found in constants if found.scales.size or found.dtype == REAL]
    _check(source, standing, (dtype,))


def _check(source: Source, tensors: Sequence[FileTensor], allowed: tuple[str, ...]) -> None:
    for found in tensors:
        if found.dtype not in allowed:
            what = "tensor" if found.data is None else "constant"
            raise UnsupportedError(
                f"{source.operator.label}: {what} {found.index} is {found.dtype}; allowed: {', '.join(allowed)}"
            )
