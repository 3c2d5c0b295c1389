"""Works one output of one layer out by hand and holds it against the network's run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.analysis.dot_product import adds_in_order
from hwsim.analysis.explanation import Accumulation, Constants, Explanation, Grid, Requantized, Term
from hwsim.analysis.requantization import rescaling
from hwsim.array.functional import FunctionalEngine
from hwsim.array.params import ArrayParams
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.errors import CheckFailedError, ConfigError, UnsupportedError, did_you_mean
from hwsim.execute.floating import float_values
from hwsim.execute.integer import preload, run_integer
from hwsim.network.activation_products import bound
from hwsim.network.gather import PADDING
from hwsim.network.operator import quantization_of
from hwsim.network.operators.attention import ActivationProduct
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray
from hwsim.quantize.fuse import fuse
from hwsim.samples import Samples


def explain(
    spec: ArchSpec, chosen: Samples, layer: str, *, output: Sequence[int] = (0,), sample: int = 0
) -> Explanation:
    """Work out one output of one matrix product by hand and hold it against the network's run.

    Args:
        spec: the architecture.
        chosen: samples of a workload.
        layer: name of a dense layer or convolution.
        output: its output: an index of the output's shape, or one number, row-major.
        sample: which of the samples.

    Raises:
        ConfigError: no such layer, output or sample.
        UnsupportedError: the layer is no matrix product, its sums are not requantized, or the code is a float32 sum's.
        CheckFailedError: the network's run computes another code.
    """
    chosen.workload.network.check_values()
    if not 0 <= sample < chosen.count:
        raise ConfigError(f"sample {sample}; allowed: 0 to {chosen.count - 1}")
    compiled = compile_workload(spec, chosen.workload)
    one = chosen.part(slice(sample, sample + 1))
    work = _Work(compiled, _step(compiled, layer), one)
    place = _place(work.step, output)
    return work.explanation(spec, place, sample)


def _step(compiled: Compiled, layer: str) -> MatmulStep:
    steps = {step.name: step for step in compiled.steps}
    products = [name for name, step in steps.items() if isinstance(step, MatmulStep)]
    allowed = ", ".join(products) or "none: the workload has no product of integers"
    if layer not in steps:
        raise ConfigError(f"no layer '{layer}'; allowed: {allowed}{did_you_mean(layer, products)}")
    step = steps[layer]
    if not isinstance(step, MatmulStep):
        raise UnsupportedError(f"layer {layer} is no product of integers; allowed: {allowed}")
    if not step.requantizer.scheme.multiplies:
        raise UnsupportedError(f"layer {layer} keeps its sums as they are, without a requantization to explain")
    return step


def _place(step: MatmulStep, output: Sequence[int]) -> int:
    """Return the number of an output element, row-major."""
    shape = step.output_shape
    if len(output) == 1 and 0 <= output[0] < step.outputs:
        return output[0]
    for allowed in (shape, shape[1:] if shape[:1] == (1,) else shape):
        if len(output) == len(allowed) and all(0 <= index < size for index, size in zip(output, allowed, strict=True)):
            return int(np.ravel_multi_index(tuple(output), allowed))
    sizes = ",".join(str(size - 1) for size in shape)
    wanted = ",".join(map(str, output))
    raise ConfigError(f"layer {step.name}: no output {wanted}; allowed: 0 to {step.outputs - 1}, or up to {sizes}")


class _Work:
    """One layer and one sample."""

    def __init__(self, compiled: Compiled, step: MatmulStep, one: Samples) -> None:
        self._compiled, self._one = compiled, one
        self._params = compiled.params[step.name]
        self._operator = next(found for found in compiled.network.operators if found.name == step.name)
        codes = compiled.codes(one.inputs)
        run = run_integer(compiled.steps, compiled.params, codes, keep=[*step.inputs, step.output])
        self.step = bound(step, [run.values[name][0] for name in step.inputs])
        self._input, self._output = run.values[step.inputs[0]], run.values[step.output][0]

    def explanation(self, spec: ArchSpec, place: int, sample: int) -> Explanation:
        step = self.step
        row, channel = divmod(place, step.groups * step.shape.out_cols)
        group, col = divmod(channel, step.shape.out_cols)
        array = self._accumulation(group, row, col)
        constants = self._constants(group, row, col)
        inputs, weights, outputs = self._grids(channel)
        return Explanation(
            architecture=spec.name,
            workload=self._one.workload.name,
            layer=step.name,
            sample=sample,
            output=_coordinates(place, step.output_shape) or (),
            out_row=row,
            channel=channel,
            zero_point=step.zero_point,
            bias=step.bias_mode,
            input_grid=inputs,
            weight_grid=weights,
            output_grid=outputs,
            accumulation=array,
            constants=constants,
            requantized=self._requantized(array.sum, constants, place, channel),
            float_value=self._float_value(place),
            scale=self._operator.scale if isinstance(self._operator, ActivationProduct) else 1.0,
        )

    def _accumulation(self, group: int, row: int, col: int) -> Accumulation:
        params, terms = self._params, self._terms(group, row, col)
        start = int(preload(self.step, params, group)[0][row, col])
        adds = adds_in_order(params, [term.product for term in terms], start)
        array = Accumulation(
            str(params.dataflow), params.accumulator.bits, params.overflow, start, tuple(terms), tuple(adds)
        )
        _hold_against_array(self.step.name, params, array)
        return array

    def _requantized(self, array_sum: int, constants: Constants, place: int, channel: int) -> Requantized:
        """Add what the array has not added, rescale, and compare with the network's run.

        Raises:
            CheckFailedError: it computes another code.
            UnsupportedError: the code is that of a float32 sum, and differs.
        """
        step = self.step
        total = array_sum + constants.row_sum
        if step.bias_mode == "requantizer":
            total += constants.bias + constants.zero_point_constants
        unit = step.requantizer.columns(slice(channel, channel + 1))
        rescaled = rescaling(unit.scheme, total)
        found = Requantized(total, rescaled, rescaled.result + unit.zero_point, (unit.low, unit.high))
        if found.code != self._output[place] and step.float_sums is not None:
            raise UnsupportedError(
                f"layer {step.name}: output {place} is {found.code} by the integer sum, {self._output[place]} by ONNX "
                "Runtime's rounded float32 sum, which lies on the other side of a tie; allowed: another output"
            )
        if found.code != self._output[place]:
            raise CheckFailedError(
                f"layer {step.name}: output {place} is {found.code} by hand, {self._output[place]} in the network's run"
            )
        return found

    def _terms(self, group: int, row: int, col: int) -> list[Term]:
        step = self.step
        activations = step.activation_operands(self._input, group)[0, row]
        weights = step.weight_operands(group)[:, col]
        shape = self._compiled.network.tensors[step.inputs[0]].shape
        elements = step.gather.indices(group, slice(row, row + 1))[0]
        return [
            Term(_coordinates(int(element), shape), int(activation), int(weight))
            for element, activation, weight in zip(elements, activations, weights, strict=True)
        ]

    def _constants(self, group: int, row: int, col: int) -> Constants:
        """Compute them from the codes; with the bias they are what the lowered step carries as one number."""
        step, operator = self.step, self._operator
        assert isinstance(operator, MatmulOperator)  # noqa: S101  (what a MatmulStep is lowered from)
        bias = 0
        if operator.bias is not None:
            codes = np.asarray(self._compiled.network.tensors[operator.bias].data, np.int64)
            bias = int(codes.reshape(step.groups, -1)[group, col])
        weights = step.weights[group, :, col].tolist()
        if step.zero_point == "operand":
            return Constants(bias, sum(weights), 0, 0)
        zero_points = np.broadcast_to(step.weight_zero_point, (step.groups * step.shape.out_cols,))
        weight_zero, input_zero = int(zero_points[group * step.shape.out_cols + col]), step.activation_zero_point
        folded = len(weights) * weight_zero * input_zero - input_zero * sum(weights)
        row_sum = -weight_zero * sum(step.activation_operands(self._input, group)[0, row].tolist())
        return Constants(bias, sum(weights), folded, row_sum)

    def _grids(self, channel: int) -> tuple[Grid, Grid, Grid]:
        tensors, operator = self._compiled.network.tensors, self._operator
        assert isinstance(operator, MatmulOperator)  # noqa: S101  (as above)
        weights, outputs = (
            Grid.of(name, quantization_of(tensors[name]), channel) for name in (operator.weight, operator.output)
        )
        return Grid.of(operator.input, operator.input_quantization(tensors), channel), weights, outputs

    def _float_value(self, place: int) -> float | None:
        network = self._one.workload.network
        if network.holds_codes:
            return None
        found = dict(float_values(fuse(network), self._one.inputs))
        return float(found[self.step.output].reshape(-1)[place])


def _coordinates(element: int, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if element == PADDING:
        return None
    return tuple(int(index) for index in np.unravel_index(element, shape))


def _hold_against_array(layer: str, params: ArrayParams, by_hand: Accumulation) -> None:
    """Let the functional engine add the same terms.

    Raises:
        CheckFailedError: it finds another sum, or another number of overflows.
    """
    row = _column([term.activation for term in by_hand.terms]).T
    column = _column([term.weight for term in by_hand.terms])
    found = FunctionalEngine().gemm(params, row, column, _column([by_hand.starts_from]), max_events=0)
    if (int(found.output[0, 0]), found.overflow_events) != (by_hand.sum, by_hand.overflow_events):
        raise CheckFailedError(
            f"layer {layer}: sum {by_hand.sum} with overflow events: {by_hand.overflow_events} by hand, "
            f"{found.output[0, 0]} with {found.overflow_events} on the array"
        )


def _column(values: Sequence[int]) -> IntArray:
    return np.array(values, np.int64)[:, np.newaxis]
