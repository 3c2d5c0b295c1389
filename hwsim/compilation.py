"""A workload made ready for one architecture: quantized, lowered to steps, planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.array.params import ArrayParams, Dataflow
from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError
from hwsim.execute.codes import Values
from hwsim.execute.floating import by_name
from hwsim.mapping.plan import LayerPlan, sample_shares
from hwsim.mapping.planner import NetworkSteps, plan_network
from hwsim.network.batch import batched
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions, quantization_of
from hwsim.network.steps import MatmulStep, Step
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntArray, accumulator_format
from hwsim.numerics.lut import LutOptions
from hwsim.numerics.onnxruntime import float32
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.numerics.rounding import FloatArray
from hwsim.numerics.tflite.profiles import Profile
from hwsim.quantize.assumed import assume_quantization
from hwsim.quantize.dynamic import quantize_dynamically
from hwsim.quantize.post_training import quantize
from hwsim.readers.workload import Workload

REAL_BITS = 32  # of a tensor that is not quantized: before a quantize, after a dequantize


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A workload made ready for one architecture: the integer network, its steps, their arrays, their plan.

    ``steps`` are those of one sample; the layers are planned for ``batch`` samples at once. ``profile`` is the rounding
    profile that was asked for.
    """

    steps: tuple[Step, ...]
    params: Mapping[str, ArrayParams]
    layers: tuple[LayerPlan, ...]
    network: Network
    profile: Profile | None = None
    batch: int = 1

    def steps_of(self, samples: int) -> tuple[Step, ...]:
        """Return the steps of so many samples at once."""
        return batched(self.steps, _elements(self.network), samples, sample_shares(self.layers))

    @property
    def input(self) -> str:
        """Name of the first input."""
        return self.network.input

    @property
    def output(self) -> str:
        """Name of the first output."""
        return self.network.output

    @property
    def takes_reals(self) -> bool:
        """Whether activations become codes at run time only."""
        return all(self.network.tensors[name].quantization is None for name in self.network.inputs)

    def codes(self, inputs: Mapping[str, Values]) -> dict[str, IntArray]:
        """Return what the array takes for these samples, (samples, elements): codes, or reals before a quantize.

        Constants that layers read from DRAM like activations are among them. Profile ``onnxruntime`` divides by the
        scale in float32, as a QuantizeLinear in front of the network would.

        Raises:
            ConfigError: the network has shapes alone.
        """
        self.network.check_values()
        if self.network.holds_codes:
            given = {name: self.network.to_elements(name, np.asarray(values)) for name, values in inputs.items()}
            count = len(given[self.network.input])
            return given | {name: self._constant(name, count) for name in self.network.streamed_constants}
        flat = {name: np.asarray(values).reshape(len(values), -1) for name, values in inputs.items()}
        if self.takes_reals:
            return {name: values.astype(np.float32) for name, values in flat.items()}
        grids = {name: quantization_of(self.network.tensors[name]) for name in flat}
        if self.profile == "onnxruntime":
            return {name: float32.quantize(values.astype(np.float32), grids[name]) for name, values in flat.items()}
        return {name: grids[name].quantize(values) for name, values in flat.items()}

    def _constant(self, name: str, samples: int) -> IntArray:
        """Return a constant as so many samples of it."""
        data = np.asarray(self.network.tensors[name].data)
        return np.broadcast_to(data.reshape(1, -1), (samples, data.size))

    def reals(self, outputs: IntArray) -> FloatArray:
        """Return the real numbers that codes of the first output stand for."""
        grid = self.network.tensors[self.network.output].quantization
        return np.asarray(outputs, np.float64) if grid is None else grid.dequantize(outputs)


def compile_workload(spec: ArchSpec, workload: Workload) -> Compiled:
    """Quantize, lower and plan a workload for an architecture.

    Raises:
        ConfigError: an array of floats, no calibration data, or an operand that does not fit a scratchpad.
        UnsupportedError: an operator without an integer form.
    """
    check_integers(spec)
    network = _quantized(spec, workload)
    follows_profile = network.holds_codes or not workload.network.has_values
    options = lowering_options(spec, network.rounding_profile if follows_profile else None)
    steps = network.lower(replace(options, has_values=network.has_values))
    _check_widths(spec, steps)
    params = {step.name: array_params(spec, step) for step in steps if isinstance(step, MatmulStep)}
    sized = (*network.activations, *network.streamed_constants)
    bits = {name: _size_bits(network.tensors[name]) for name in sized} | _product_bits(steps)
    batch = spec.mapping.batch
    together = batched(steps, _elements(network), batch)
    sizes = {name: batch * size for name, size in bits.items()}
    layers = plan_network(NetworkSteps(together, params, sizes, network.outputs), spec)
    return Compiled(steps, params, layers, network, spec.requantizer.rounding_profile, batch)


def _elements(network: Network) -> dict[str, int]:
    """Return the size of every activation and of constants that are read like one, in elements of one sample."""
    names = (*network.activations, *network.streamed_constants)
    return {name: int(np.prod(network.tensors[name].shape)) for name in names}


def check_integers(spec: ArchSpec) -> None:
    """Refuse an array of floats where integers are looked at.

    Raises:
        ConfigError: its MACs compute with floats.
    """
    if spec.array.float_formats is not None:
        raise ConfigError(
            f"array.number_format {spec.array.number_format}: there are no integers here to work with; "
            "allowed: integer (floats: run and sweep)"
        )


def _quantized(spec: ArchSpec, workload: Workload) -> Network:
    """Return a network of integers: the file's own, or one that is made here."""
    if workload.network.holds_codes:
        return workload.network
    array = spec.array
    if not workload.network.has_values:
        return assume_quantization(
            workload.network,
            spec.quantization,
            weight_bits=array.weight_bits,
            activation_bits=array.activation_bits,
        )
    if spec.quantization.mode == "dynamic":
        return quantize_dynamically(
            workload.network,
            spec.quantization,
            weight_bits=array.weight_bits,
            activation_bits=array.activation_bits,
        )
    if workload.calibration is None:
        raise ConfigError(
            f"workload {workload.name} has no calibration data; allowed: data.calibration in its YAML, or --calibration"
        )
    samples = by_name(workload.network, workload.calibration)
    return quantize(
        workload.network,
        {name: workload.network.laid_out(name, values) for name, values in samples.items()},
        spec.quantization,
        weight_bits=array.weight_bits,
        activation_bits=array.activation_bits,
    )


def _check_widths(spec: ArchSpec, steps: Sequence[Step]) -> None:
    """Refuse matrix products of operands wider than the array's.

    Raises:
        ConfigError: one line for each product and operand.
    """
    problems = []
    for step in steps:
        if not isinstance(step, MatmulStep):
            continue
        widths = (
            ("activation", step.activation_format.bits, spec.array.activation_bits),
            ("weight", step.weight_format.bits, spec.array.weight_bits),
        )
        problems += [
            f"layer {step.name}: {operand}s of {bits} bits; array.{operand}_bits is {allowed}; allowed: {bits} or more"
            for operand, bits, allowed in widths
            if bits > allowed
        ]
    if problems:
        raise ConfigError(problems)


def lowering_options(spec: ArchSpec, default_profile: Profile | None = None) -> LoweringOptions:
    """Say what the hardware round the array is, in the network's terms; files of codes have a profile by default.

    Raises:
        ConfigError: the array computes with floats.
    """
    check_integers(spec)
    requantizer, lut = spec.requantizer, spec.activation_lut
    return LoweringOptions(
        requantizer=RequantizerOptions(requantizer.scheme, requantizer.rounding, requantizer.multiplier_bits),
        lut=LutOptions(lut.entries, *lut.input_range, lut.output_bits, lut.interpolation),
        zero_point=spec.array.zero_point,
        bias=requantizer.bias,
        profile=requantizer.rounding_profile or default_profile,
    )


def _size_bits(tensor: Tensor) -> int:
    width = REAL_BITS if tensor.quantization is None else tensor.quantization.format.bits
    return int(np.prod(tensor.shape)) * width


def _product_bits(steps: Sequence[Step]) -> dict[str, int]:
    """Return the sizes of products' outputs, which may be wider under one rounding profile than under another."""
    return {step.output: step.outputs * step.output_format.bits for step in steps if isinstance(step, MatmulStep)}


def array_params(spec: ArchSpec, step: MatmulStep) -> ArrayParams:
    """Return the array of an architecture with the operand formats of one product."""
    array = spec.array
    activations, weights = step.operand_formats
    return ArrayParams(
        rows=array.rows,
        cols=array.cols,
        dataflow=Dataflow(array.dataflow),
        activations=activations,
        weights=weights,
        accumulator=accumulator_format(array.weight_bits, array.activation_bits, array.guard_bits),
        overflow=array.overflow,
        fold_overlap=array.fold_overlap,
    )
