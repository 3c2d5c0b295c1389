"""What both kinds of ONNX file share: the float operators between quantizations.

Float32 holds whole numbers, and their sums up to 2**24, exactly; a scale that is no power of two would round every
product. So tensors lie in a file in *units*: a step is its scale where that is a power of two, else 1. What products
and moves read are steps in units; what other operators read are reals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.export.graph import Array, Attributes, OnnxGraph
from hwsim.export.layout import Layout, has_sample_axis, layout_of
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions, quantization_of
from hwsim.network.operators.lstm import LstmCell, LstmStart
from hwsim.numerics.onnxruntime.float32 import is_power_of_two
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.tflite.scales import TfliteActivation

Form = Callable[["OnnxWriter", Any], None]
"""Writes the nodes that do what an operator does."""

NumberForm = Literal["reals", "steps", "fractions"]
"""What stands for a tensor in a file: reals; whole steps in units; or what its steps are rounded from, in units."""
BOUNDS: dict[TfliteActivation, tuple[float, float]] = {"relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}


class OnnxWriter(ABC):
    """Walks a quantized network; the base class writes what computes, a subclass what quantizes.

    Forms of operators find their tensors' reals, codes and layouts here, and put their results here.
    """

    domains: Mapping[str, int] = {}

    def __init__(self, network: Network, options: LoweringOptions, *, real_scales: bool = False) -> None:
        self.network = network
        self.options = options
        self.real_scales = real_scales
        self.graph = OnnxGraph()
        self._constants: dict[tuple[str, tuple[int, ...], bool], str] = {}

    def written(self) -> bytes:
        """Return the file.

        Raises:
            ConfigError: the network has shapes alone.
            UnsupportedError: operators or widths without an ONNX form; all of them are listed.
        """
        network = self.network
        if not network.has_values:
            raise ConfigError(f"workload {network.name} has shapes alone, and no values to write; allowed: one with")
        self._check_forms()
        inputs = [self._enter(name) for name in network.inputs]
        problems = self._operators()
        if problems:
            raise UnsupportedError("\n".join(dict.fromkeys(problems)))
        outputs = [self._leave(name) for name in network.outputs]
        return self.graph.serialized(network.name, inputs, outputs, self.domains)

    @abstractmethod
    def reals(self, tensor: str) -> str:
        """Return the name of a tensor's reals."""

    @abstractmethod
    def steps(self, tensor: str) -> str:
        """Return the name of a quantized tensor's codes less their zero point, times its unit."""

    @abstractmethod
    def codes(self, tensor: str) -> str:
        """Return the name of a quantized tensor's codes as 32-bit integers."""

    @abstractmethod
    def quantized(self, source: str, tensor: str) -> None:
        """Quantize reals to a tensor of the network: ``clip(rint(r / S) + Z)``."""

    @abstractmethod
    def rounded(self, source: str, tensor: str, *, are_whole: bool) -> None:
        """Make a tensor of the network of what is in units: ``clip(rint(x / unit) + Z)``, of whole steps or not."""

    @abstractmethod
    def constant_reals(self, name: str, codes: Array, grid: Quantization, axis: int) -> str:
        """Return the name of constant reals that stand for codes, with scales along an axis if there are several."""

    def integer_node(self, kind: str, operands: Sequence[str], output: str, attributes: Attributes) -> None:  # noqa: ARG002
        """Write an operator of ONNX Runtime's own on the codes of tensors.

        Raises:
            UnsupportedError: the file's tensors are no codes.
        """
        raise UnsupportedError(f"{kind} has no form in a file whose tensors are reals; allowed: export qdq")

    def put(self, source: str, tensor: str, form: NumberForm = "reals") -> None:
        """Make what is laid out as in the file a tensor of the network."""
        if self.network.tensors[tensor].quantization is None:
            self.graph.node("Identity", [source], tensor)
        elif form == "reals":
            self.quantized(source, tensor)
        else:
            self.rounded(source, tensor, are_whole=form == "steps")

    def take(self, tensor: str, form: NumberForm = "reals") -> str:
        """Return the name of a tensor's numbers."""
        return self.reals(tensor) if form == "reals" else self.steps(tensor)

    def unit(self, tensor: str) -> np.float32:
        """Return what a step of a quantized tensor is where products read it."""
        scale = np.float32(self.grid(tensor).scale)
        return scale if self.real_scales or is_power_of_two(scale) else np.float32(1)

    def moving_form(self, *tensors: str) -> NumberForm:
        """Return as what elements go from tensor to tensor: as steps where all have the same, else as reals."""
        grids = [self.network.tensors[name].quantization for name in tensors]
        first = grids[0]
        if first is None or any(one is None or one.scale != first.scale for one in grids):
            return "reals"
        return "steps"

    def grid(self, tensor: str) -> Quantization:
        """Return a tensor's quantization."""
        return quantization_of(self.network.tensors[tensor])

    def layout(self, tensor: str) -> Layout:
        """Return how a tensor lies in the file."""
        return layout_of(self.network, tensor)

    def stored(self, tensor: str, form: NumberForm = "reals") -> str:
        """Return a tensor's numbers with the axes in hwsim's order, channels last."""
        return self.graph.transpose(self.take(tensor, form), self.layout(tensor).back)

    def put_stored(self, source: str, tensor: str, form: NumberForm = "reals") -> None:
        """As `put`, of numbers of any shape with the axes in hwsim's order."""
        layout = self.layout(tensor)
        self.put(self.graph.transpose(self.graph.reshape(source, layout.shape), layout.order), tensor, form)

    def without_samples(self, axis: int, tensor: str) -> int:
        """Return the number of an axis of a tensor among those of one sample."""
        return axis - int(has_sample_axis(self.network, self.network.tensors[tensor].shape))

    def weight(self, name: str, order: Sequence[int], axis: int) -> str:
        """Return a constant's reals with its axes in another order, and scales along one of them."""
        values = np.asarray(self.network.tensors[name].data).transpose(order)
        return self._constant(name, tuple(order), values, self.network.tensors[name].quantization, axis)

    def weight_steps(self, name: str, order: Sequence[int], axis: int, unit: Array) -> str:
        """Return a constant's codes less their zero points, times a unit or one for each channel, as `weight`."""
        values, grid = np.asarray(self.network.tensors[name].data).transpose(order), self.grid(name)
        units = np.broadcast_to(unit, grid.scale.shape)
        return self._constant(name, tuple(order), values, _simple(replace(grid, scale=units)), axis)

    def operand(self, name: str, order: Sequence[int]) -> str:
        """Return a constant's reals with so many axes, in an order, behind one of 1 for the samples."""
        tensor = self.network.tensors[name]
        data = np.asarray(tensor.data)
        shape = data.shape[max(data.ndim - len(order), 0) :]
        aligned = data.reshape((1,) * (len(order) - len(shape)) + shape).transpose(order)
        return self._constant(name, (-1, *order), aligned[np.newaxis], tensor.quantization, 0)

    def _constant(self, name: str, order: tuple[int, ...], values: Array, grid: Quantization | None, axis: int) -> str:
        """Write a constant once for each order of its axes and each way that it stands for numbers."""
        key = name, order, grid is self.network.tensors[name].quantization
        if key not in self._constants:
            again = sum(known == name for known, *_ in self._constants)
            label = f"{name}.{again}" if again else name
            self._constants[key] = (
                self.graph.constant(f"{label}.values", values.astype(np.float32))
                if grid is None
                else self.constant_reals(label, values, grid, axis)
            )
        return self._constants[key]

    def activated(self, source: str, output: str, activation: TfliteActivation) -> str:
        """Apply a fused activation."""
        if activation == "none":
            return source
        name = self.graph.new_name(f"{output}.activated")
        if activation == "relu":
            return self.graph.node("Relu", [source], name)
        bounds = [
            self.graph.constant(f"bound.{value:g}", np.asarray(value, np.float32)) for value in BOUNDS[activation]
        ]
        return self.graph.node("Clip", [source, *bounds], name)

    def step(self, kind: str, inputs: Sequence[str], base: str, attributes: Attributes | None = None) -> str:
        """Add a node whose output has a new name that begins with ``base``."""
        return self.graph.node(kind, inputs, self.graph.new_name(base), attributes)

    def number(self, value: float | np.generic, kind: str) -> str:
        """Return a constant of one number."""
        return self.graph.constant(f"{kind}.{value!s}", np.asarray(value, kind))

    def check(self) -> list[str]:
        """Return what a file of this kind cannot hold: nothing."""
        return []

    def _enter(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Write an input: reals in the layout of the user's samples."""
        layout, given = self.layout(name), f"{name}.given"
        is_stored = self.network.tensors[name].order is None
        self.put(self.graph.transpose(given, layout.order) if is_stored else given, name)
        return given, self.network.sample_shape(name)

    def _leave(self, name: str) -> tuple[str, tuple[int, ...]]:
        return self.reals(name), self.layout(name).in_file

    def _check_forms(self) -> None:
        from hwsim.export.forms import FORMS

        problems, others = self.check(), defaultdict[str, list[str]](list)
        for operator in self.network.operators:
            if type(operator) not in FORMS:
                others[type(operator).__name__].append(operator.layer)
        for kind, layers in others.items():
            names = list(dict.fromkeys(layers))
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            problems.append(f"layer {names[0]}{more}: {kind} has no form in an exported file")
        if problems:
            raise UnsupportedError("\n".join(problems))

    def _operators(self) -> list[str]:
        """Write all operators, and return what some of them ask for that has no form."""
        from hwsim.export.forms import FORMS

        problems = []
        for operator in self.network.operators:
            try:
                FORMS[type(operator)](self, operator)
            except UnsupportedError as error:
                problems.append(f"layer {operator.layer}: {error}")
        return problems


def _simple(grid: Quantization) -> Quantization:
    """Return one scale and zero point where those of all channels are alike."""
    if grid.axis is None or np.ptp(grid.scale) or np.ptp(grid.zero_point):
        return grid
    return Quantization(grid.scale[:1].reshape(()), grid.zero_point[:1].reshape(()), grid.format)


def coded_activations(network: Network) -> list[str]:
    """Return the activations that a file holds as codes: all but reals, and the states between an LSTM's steps."""
    states = {operator.output for operator in network.operators if isinstance(operator, LstmStart | LstmCell)}
    return [
        name for name in network.activations if network.tensors[name].quantization is not None and name not in states
    ]
