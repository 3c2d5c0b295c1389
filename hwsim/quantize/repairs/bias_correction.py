"""Bias correction: the mean error that quantization gives each channel is taken off its bias."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import Reals, by_name, chunks
from hwsim.execute.liveness import last_reads
from hwsim.network.network import Network
from hwsim.network.operator import Operator, quantization_of
from hwsim.network.operators.lstm import GateProduct
from hwsim.network.operators.matmul import MatmulOperator, activate
from hwsim.network.tensor import Tensor
from hwsim.numerics.quantization import Quantization
from hwsim.numerics.rounding import FloatArray
from hwsim.quantize.constants import bias_grid
from hwsim.quantize.repairs.repair import Repair


class BiasCorrection(Repair):
    """Takes the mean error of each output channel, over samples and positions, off the bias.

    The error is that of the integer network's sums (before the fused activation and the requantization) against the
    float network's, its inputs quantized and all products before it corrected already. What remains is the rounding
    of the bias to the grid of the products.

    Source: Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019, the
    empirical form.
    """

    def after(self, real: Network, quantized: Network, calibration: Reals) -> Network:
        """Run both networks side by side and correct product after product.

        Raises:
            UnsupportedError: the network has an LSTM, whose steps share one bias.
            ConfigError: a corrected bias needs more than 32 bits.
        """
        for operator in real.operators:
            if isinstance(operator, GateProduct):
                raise UnsupportedError(
                    f"bias_correction of layer {operator.layer}: the steps of an LSTM share one bias"
                )
        tensors = dict(quantized.tensors)
        operators: list[Operator] = []
        exact = by_name(real, calibration)
        coarse = {name: _on_grid(values, tensors[name]) for name, values in exact.items()}
        last = last_reads([operator.inputs for operator in real.operators])
        for before, operator, forgotten in zip(real.operators, quantized.operators, last, strict=True):
            expected = _linear(real, before, exact, real.tensors)
            found = _linear(real, operator, coarse, _dequantized(operator, tensors))
            if isinstance(operator, MatmulOperator) and operator.has_weights:
                corrected = _corrected(operator, tensors, _channel_means(found - expected))
                found = found + (_bias(corrected, tensors) - _bias(operator, quantized.tensors))
                operators.append(corrected)
            else:
                operators.append(operator)
            exact[operator.output] = _activated(before, expected)
            coarse[operator.output] = _on_grid(_activated(operator, found), tensors[operator.output])
            for name in forgotten:
                del exact[name], coarse[name]
        return replace(quantized, tensors=tensors, operators=tuple(operators))


def _linear(
    network: Network, operator: Operator, values: Mapping[str, FloatArray], constants: Mapping[str, Tensor]
) -> FloatArray:
    """Return an operator's output for all samples, of a product without its activation."""
    plain = replace(operator, activation="none") if isinstance(operator, MatmulOperator) else operator
    return np.concatenate(
        [plain.float_values(inputs, constants) for inputs in _batches(network, [values[name] for name in plain.inputs])]
    )


def _batches(network: Network, inputs: Sequence[FloatArray]) -> Iterator[list[FloatArray]]:
    return ([values[chunk] for values in inputs] for chunk in chunks(network, len(inputs[0])))


def _activated(operator: Operator, values: FloatArray) -> FloatArray:
    return activate(values, operator.activation) if isinstance(operator, MatmulOperator) else values


def _on_grid(values: FloatArray, tensor: Tensor) -> FloatArray:
    grid = quantization_of(tensor)
    return grid.dequantize(grid.quantize(values))


def _dequantized(operator: Operator, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors, an operator's constants among them as the reals that their codes stand for."""
    constants = dict(tensors)
    for name in operator.constants:
        grid = tensors[name].quantization
        if grid is not None:
            codes = np.asarray(tensors[name].data, np.int64)
            constants[name] = replace(tensors[name], data=grid.dequantize(codes), quantization=None)
    return constants


def _channel_means(errors: FloatArray) -> FloatArray:
    return np.asarray(errors.reshape(-1, errors.shape[-1]).mean(axis=0))


def _bias(operator: MatmulOperator, tensors: Mapping[str, Tensor]) -> FloatArray:
    if operator.bias is None:
        return np.zeros(())
    return np.asarray(_dequantized(operator, tensors)[operator.bias].data)


def _corrected(operator: MatmulOperator, tensors: dict[str, Tensor], error: FloatArray) -> MatmulOperator:
    """Put the corrected bias into ``tensors``; return the operator that reads it.

    Raises:
        ConfigError: it needs more than 32 bits.
    """
    grid = _grid(operator, tensors, len(error))
    name = operator.bias or _new_name(operator.name, tensors)
    reals = _bias(operator, tensors) - error
    if np.any(np.abs(reals) > grid.scale * grid.format.max):
        raise ConfigError(f"layer {operator.name}: a corrected bias needs more than {grid.format.bits} bits")
    tensors[name] = Tensor(name, error.shape, grid.quantize(reals), grid)
    return replace(operator, bias=name)


def _new_name(layer: str, tensors: Mapping[str, Tensor]) -> str:
    return f"{layer}.bias" if f"{layer}.bias" not in tensors else f"{layer}.correction"


def _grid(operator: MatmulOperator, tensors: Mapping[str, Tensor], channels: int) -> Quantization:
    weights, inputs = quantization_of(tensors[operator.weight]), quantization_of(tensors[operator.input])
    return bias_grid(weights, float(inputs.scale), channels)
