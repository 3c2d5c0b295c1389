"""Builders of QONNX's nodes: Quant (or IntQuant) of any width, BipolarQuant, Trunc.

A Quant node's output is real in the file and codes here, under its name. QONNX adds the zero point before it rounds,
hwsim after: codes may differ where a value lies on a tie and the zero point is odd.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.moves import Reshape
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import RealRounding, round_real
from hwsim.readers.onnx.expressions import apply, has_grid, leaf
from hwsim.readers.onnx.graph import Coded, Codes, Live
from hwsim.readers.onnx.lazy import Product, Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.rescaled import folded
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]
DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
LARGEST_BITS = 32
FARTHEST_ZERO = 2.0**32
BIPOLAR = IntFormat(2, narrow=True)
ROUNDINGS: dict[str, RealRounding] = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "CEIL": "ceil",
    "FLOOR": "floor",
    "UP": "away_from_zero",
    "DOWN": "toward_zero",
    "HALF_UP": "half_away",
    "HALF_DOWN": "half_toward_zero",
}


def quant(site: Site, reals: Reals) -> None:
    """Inputs: x, scale, zero point, bits; attributes signed, narrow, rounding_mode."""
    word = _word(site, 3, signed=bool(site.integer("signed", 1)), narrow=bool(site.integer("narrow", 0)))
    rounding = _rounding(site, "ROUND")
    if site.is_constant(0):
        _quantize_constant(site, word, rounding)
        return
    grid = _grid(site, word)
    if grid.axis is not None:
        raise UnsupportedError(f"{site.label}: an activation with {grid.scale.size} scales")
    if rounding != "half_even":
        raise UnsupportedError(f"{site.label}: rounding_mode of an activation; allowed: ROUND, HALF_EVEN")
    _put_codes(site, reals, grid)


def _word(site: Site, place: int, *, signed: bool, narrow: bool) -> IntFormat:
    bits = float(_one(site, place))
    if bits != int(bits) or not 2 <= bits <= LARGEST_BITS:
        raise UnsupportedError(f"{site.label}: {bits:g} bits; allowed: 2 to {LARGEST_BITS}, or BipolarQuant")
    return IntFormat(int(bits), signed, narrow=narrow and signed)


def _one(site: Site, place: int) -> float:
    values = site.array(place).reshape(-1)
    if values.size != 1 or not np.isfinite(values[0]):
        raise UnsupportedError(f"{site.label}: input {place} of {values.size} values; allowed: one finite number")
    return float(values[0])


def _rounding(site: Site, default: str) -> RealRounding:
    name = str(site.node.attributes.get("rounding_mode", default)).upper()
    if name not in ROUNDINGS:
        raise UnsupportedError(f"{site.label}: rounding_mode {name[:40]}; allowed: {', '.join(ROUNDINGS)}")
    return ROUNDINGS[name]


def _grid(site: Site, word: IntFormat) -> Quantization:
    """Return the quantization in inputs 1 and 2; its axis is that along which there are several scales."""
    scale, zero = np.asarray(site.array(1), np.float64), np.asarray(site.array(2), np.float64)
    if np.any(zero != np.rint(zero)) or not np.all(np.abs(zero) < FARTHEST_ZERO):
        raise UnsupportedError(f"{site.label}: a zero point that is no whole number")
    long = [axis for axis, size in enumerate(scale.shape) if size > 1]
    if len(long) > 1 or zero.size not in (1, scale.size):
        raise UnsupportedError(f"{site.label}: scales of shape {list(scale.shape)}; allowed: one, or one a channel")
    zeros = np.broadcast_to(zero.reshape(-1), (scale.size,)).astype(np.int64)
    try:
        if not long:
            return Quantization(scale.reshape(()), zeros[:1].reshape(()), word)
        return Quantization(scale.reshape(-1), zeros, word, long[0] - scale.ndim)
    except ConfigError as error:
        raise ConfigError(f"{site.label}: {error}") from None


def _quantize_constant(site: Site, word: IntFormat, rounding: RealRounding) -> None:
    """Keep a constant's codes: ``clip(round(x / S + Z))``."""
    values, grid = np.asarray(site.array(0), np.float32), _grid(site, word)
    if not np.all(np.isfinite(values)):
        raise ConfigError(f"{site.label}: a constant that holds NaN or infinity")
    if grid.axis is not None:
        axis = site.axis(grid.axis, values.ndim)
        if values.shape[axis] != grid.scale.size:
            raise ConfigError(f"{site.label}: {grid.scale.size} scales along axis {axis} of {list(values.shape)}")
        grid = replace(grid, axis=axis)
    scale, zero = _along(grid.scale, grid, values), _along(grid.zero_point, grid, values)
    steps = values / scale.astype(np.float32) + zero.astype(np.float32)
    if not np.all(np.isfinite(steps)):
        raise ConfigError(f"{site.label}: a constant that its scale brings beyond float32")
    codes = np.clip(round_real(steps.astype(np.float64), rounding), word.min, word.max).astype(np.int64)
    _put_constant(site, codes, grid)


def _along(values: Array, grid: Quantization, like: Array) -> Array:
    if grid.axis is None:
        return values
    shape = [1] * like.ndim
    shape[grid.axis] = -1
    return values.reshape(shape)


def _put_constant(site: Site, codes: Array, grid: Quantization) -> None:
    site.graph.coded[site.output] = Coded(codes, grid)
    site.graph.arrays[site.output] = grid.dequantize(codes).astype(np.float32)


def _put_codes(site: Site, reals: Reals, grid: Quantization) -> None:
    """Write codes under the output's name, and let its readers see the reals that they stand for."""
    name = site.input(0)
    found = reals.peek(name)
    operator = None
    if isinstance(found, Product) and reals.readers(name) == 1:
        operator = found.operator if found.rescaling is None else folded(site.graph, found, grid)
    if isinstance(found, Product) and operator is not None:
        output = Live(site.output, found.shape, found.order, Codes(grid.format, grid))
        site.graph.emit(replace(operator, output=site.output), output)
    else:
        expression = reals.expression(name, site.label)
        if expression.is_leaf and has_grid(expression.leaves[0], grid):
            source = expression.leaves[0]
            output = replace(source, name=site.output)
            ends = (source.name,), site.output, (source.name,)
            site.graph.emit(Reshape(site.node.name, *ends, source.stored_shape), output)
        else:
            output = reals.compute(expression, site.output, grid)
    reals.put(site.output, leaf(output))


def bipolar_quant(site: Site, reals: Reals) -> None:
    """Inputs: x, scale: ``scale`` where x is not negative, else ``-scale``."""
    try:
        grid = Quantization(np.asarray(_one(site, 1)), np.asarray(0, np.int64), BIPOLAR)
    except ConfigError as error:
        raise ConfigError(f"{site.label}: {error}") from None
    scale = np.float32(grid.scale)
    if site.is_constant(0):
        _put_constant(site, np.where(site.array(0) >= 0, 1, -1).astype(np.int64), grid)
        return

    def sign(values: Float32Array) -> Float32Array:
        return np.where(values >= 0, scale, -scale)

    expression = apply(reals.expression(site.input(0), site.label), sign, "compare")
    reals.put(site.output, leaf(reals.compute(expression, site.output, grid)))


def trunc(site: Site, reals: Reals) -> None:
    """Inputs: x, scale, zero point, input bits, output bits: low bits go, the scale stays (version 1).

    Version 2 has the output's scale before its bits: a power of two of the input's; attributes signed and narrow.

    Raises:
        UnsupportedError: another number of inputs, or a zero point that is no whole number afterwards.
    """
    if len(site.node.inputs) not in (5, 6):
        raise UnsupportedError(f"{site.label}: {len(site.node.inputs)} inputs; allowed: 5 (version 1), 6 (version 2)")
    expression = reals.expression(site.input(0), site.label)
    sources = [one.codes for one in expression.leaves]
    if len(sources) != 1 or sources[0] is None:
        raise UnsupportedError(f"{site.label}: of more than one tensor of codes")
    before, after = _truncation(site, sources[0].word.signed)
    scale, zero = np.float32(before.scale), np.float32(before.zero_point)
    is_first = len(site.node.inputs) == 5
    bits = _word(site, 3, signed=True, narrow=False).bits
    factor = 1 << (bits - after.format.bits) if is_first else 2.0 ** round(math.log2(float(after.scale / before.scale)))
    divisor, rounding = np.float32(factor), _rounding(site, "FLOOR")
    offset = np.float32(after.zero_point)

    def shift(values: Float32Array) -> Float32Array:
        steps = np.rint(values / scale + zero) / divisor
        if not is_first:
            steps = np.clip(steps, np.float32(after.format.min), np.float32(after.format.max))
        whole = round_real(steps.astype(np.float64), rounding).astype(np.float32)
        return (whole - offset) * np.float32(after.scale)

    moved = apply(expression, shift, "shift")
    reals.put(site.output, leaf(reals.compute(moved, site.output, after)))


def _truncation(site: Site, signed: bool) -> tuple[Quantization, Quantization]:
    """Return how the input's and the output's codes stand for reals."""
    is_first = len(site.node.inputs) == 5
    if not is_first:
        signed = bool(site.integer("signed", 1))
    before = _grid(site, _word(site, 3, signed=signed, narrow=False))
    after = _word(site, 4 if is_first else 5, signed=signed, narrow=bool(site.integer("narrow", 0)))
    if before.axis is not None:
        raise UnsupportedError(f"{site.label}: an activation with {before.scale.size} scales")
    if is_first:
        if after.bits > before.format.bits:
            raise ConfigError(f"{site.label}: from {before.format.bits} to {after.bits} bits")
        return before, replace(before, format=after)
    scale = _one(site, 4)
    if scale <= 0:
        raise ConfigError(f"{site.label}: output scale {scale:g}; allowed: positive")
    zero = float(before.zero_point) / 2.0 ** round(math.log2(scale / float(before.scale)))
    if zero != round(zero):
        raise UnsupportedError(f"{site.label}: a zero point that is no whole number after truncation")
    return before, Quantization(np.asarray(scale), np.asarray(round(zero), np.int64), after)


BUILDERS: dict[str, Builder] = {
    "BipolarQuant": bipolar_quant,
    "IntQuant": quant,
    "Quant": quant,
    "Trunc": trunc,
}
