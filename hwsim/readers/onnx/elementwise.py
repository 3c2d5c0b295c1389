"""Builders of functions of single elements in float32, of one tensor or of two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.onnxruntime import functions
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.readers.onnx.expressions import apply, combine, with_constant
from hwsim.readers.onnx.graph import broadcast
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.site import Site

Builder = Callable[[Site, Reals], None]
Function = Callable[[Float32Array], Float32Array]


def pair(function: Callable[..., Float32Array], action: str) -> Builder:
    """Build an operator of two tensors, one of which may be constant."""

    def build(site: Site, reals: Reals) -> None:
        if len(site.node.inputs) != 2:
            raise UnsupportedError(f"{site.label}: {len(site.node.inputs)} inputs; allowed: 2")
        constants = [place for place in (0, 1) if site.is_constant(place)]
        if not constants:
            first, second = (reals.expression(site.input(place), site.label) for place in (0, 1))
            shape = broadcast(site.label, first.shape, second.shape)
            reals.put(site.output, combine(first, second, shape, function, action))
            return
        place = constants[0]
        expression = reals.expression(site.input(1 - place), site.label)
        values = np.asarray(site.array(place), np.float32)
        if not np.all(np.isfinite(values)):
            raise ConfigError(f"{site.label}: a constant that holds NaN or infinity")
        if broadcast(site.label, expression.shape, values.shape) != expression.shape or values.ndim > len(
            expression.shape
        ):
            raise UnsupportedError(f"{site.label}: a constant of more elements than the activation")

        def ordered(real: Float32Array, constant: Float32Array) -> Float32Array:
            return function(real, constant) if place == 1 else function(constant, real)

        reals.put(site.output, with_constant(expression, values, ordered, action))

    return build


def unary(make: Callable[[Site], Function], action: str) -> Builder:
    """Build a function of each element; ``make`` reads its settings."""

    def build(site: Site, reals: Reals) -> None:
        expression = reals.expression(site.input(0), site.label)
        reals.put(site.output, apply(expression, make(site), action))

    return build


def bounds(site: Site) -> tuple[float, float]:
    """Return the bounds of a Clip: inputs (opset 11) or attributes."""
    low, high = site.real("min", float(np.finfo(np.float32).min)), site.real("max", float(np.finfo(np.float32).max))
    if site.has(1):
        low = float(site.array(1).reshape(-1)[0])
    if site.has(2):
        high = float(site.array(2).reshape(-1)[0])
    return low, high


def gelu(site: Site, reals: Reals) -> None:
    """``x Phi(x)``, exact or by tanh."""
    kind = site.node.attributes.get("approximate", "none")
    if kind not in ("none", "tanh"):
        raise ConfigError(f"{site.label}: approximate {str(kind)[:40]}; allowed: none, tanh")
    unary(lambda _: functions.gelu if kind == "none" else functions.gelu_by_tanh, "multiply")(site, reals)


def _setting(make: Callable[[np.float32], Function], name: str, default: float) -> Callable[[Site], Function]:
    return lambda site: make(np.float32(site.real(name, default)))


def _fixed(function: Function) -> Callable[[Site], Function]:
    return lambda _: function


PAIRS: dict[str, tuple[Callable[..., Float32Array], str]] = {
    "Div": (np.divide, "multiply"),
    "Max": (np.maximum, "compare"),
    "Min": (np.minimum, "compare"),
    "Mul": (np.multiply, "multiply"),
    "PRelu": (functions.leaky_relu, "multiply"),
    "Pow": (functions.power, "multiply"),
    "Sub": (np.subtract, "add"),
}
UNARY: dict[str, tuple[Callable[[Site], Function], str]] = {
    "Abs": (_fixed(np.abs), "compare"),
    "Celu": (_setting(functions.Celu, "alpha", 1.0), "multiply"),
    "Elu": (_setting(functions.Elu, "alpha", 1.0), "multiply"),
    "Erf": (_fixed(functions.erf), "multiply"),
    "Exp": (_fixed(functions.exponential), "multiply"),
    "HardSigmoid": (
        lambda site: functions.HardSigmoid(np.float32(site.real("alpha", 0.2)), np.float32(site.real("beta", 0.5))),
        "multiply",
    ),
    "HardSwish": (_fixed(functions.hard_swish), "multiply"),
    "LeakyRelu": (_setting(functions.LeakyRelu, "alpha", 0.01), "multiply"),
    "Log": (_fixed(functions.logarithm), "multiply"),
    "Mish": (_fixed(functions.mish), "multiply"),
    "Neg": (_fixed(np.negative), "multiply"),
    "Reciprocal": (_fixed(np.reciprocal), "multiply"),
    "Sigmoid": (_fixed(functions.sigmoid), "multiply"),
    "Softplus": (_fixed(functions.softplus), "multiply"),
    "Softsign": (_fixed(functions.softsign), "multiply"),
    "Sqrt": (_fixed(np.sqrt), "multiply"),
    "Tanh": (_fixed(functions.tanh), "multiply"),
}
BUILDERS: dict[str, Builder] = {
    "Gelu": gelu,
    **{kind: pair(*rule) for kind, rule in PAIRS.items()},
    **{kind: unary(*rule) for kind, rule in UNARY.items()},
}
