"""Whole quantized networks against ONNX Runtime's QLinearConv, QLinearMatMul and MaxPool: no code may differ.

The integer network's own scales, zero points, codes and int32 biases go into the model, so that what is compared is
the arithmetic of every layer: sums, padding, bias, requantization, clamp. ReLU is the clamp of the output format, as
the zero point of a range that starts at 0 is its least code.
"""

from __future__ import annotations

import numpy as np
import pytest
from qlinear_model import QLinearModel

from hwsim.compilation import array_params
from hwsim.config.load import load_arch
from hwsim.config.quantization import ActivationQuantizationSpec, QuantizationSpec
from hwsim.execute.integer import run_integer
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.conv2d import Conv2d
from hwsim.network.operators.dense import Dense
from hwsim.network.operators.elementwise import Flatten
from hwsim.network.steps import MatmulStep
from hwsim.network.tensor import Tensor
from hwsim.numerics.requantize import RequantizerOptions
from hwsim.quantize.post_training import quantize
from hwsim.readers.native import read_workload

SIGNED, UNSIGNED = (QuantizationSpec(activations=ActivationQuantizationSpec(signed=signed)) for signed in (True, False))
AS_ONNX_RUNTIME = LoweringOptions(requantizer=RequantizerOptions(scheme="float"))


def assert_no_code_differs(network: Network, inputs: np.ndarray, *, weights_as_uint8: bool = False) -> None:
    quantization = network.tensors[network.input].quantization
    assert quantization is not None
    codes = quantization.quantize(inputs)
    expected = QLinearModel(network, weights_as_uint8=weights_as_uint8).run(codes)
    steps = network.lower(AS_ONNX_RUNTIME)
    wide = load_arch("edge16", ["array.guard_bits=20"])  # nothing overflows
    params = {step.name: array_params(wide, step) for step in steps if isinstance(step, MatmulStep)}
    ours = run_integer(steps, params, {network.input: codes.reshape(len(codes), -1)}, keep=list(expected))
    differing = {
        name: int(np.count_nonzero(ours.values[name] != data.reshape(len(codes), -1)))
        for name, data in expected.items()
    }
    assert differing == dict.fromkeys(expected, 0)


@pytest.mark.parametrize(
    ("spec", "weight_bits", "weights_as_uint8"),
    [(SIGNED, 7, False), (UNSIGNED, 7, False), (UNSIGNED, 8, True)],
    ids=["int8, 7-bit weights", "uint8, 7-bit weights", "uint8, 8-bit weights"],
)
def test_every_layer_of_the_digits_network(spec: QuantizationSpec, weight_bits: int, weights_as_uint8: bool) -> None:
    """7-bit weights cannot saturate a pair of products where ONNX Runtime multiplies in 16 bits."""
    workload = read_workload("digits_cnn")
    assert workload.calibration is not None
    assert workload.inputs is not None
    network = quantize(workload.network, workload.calibration, spec, weight_bits=weight_bits, activation_bits=8)
    assert_no_code_differs(network, workload.inputs[:64], weights_as_uint8=weights_as_uint8)


def random_network(
    random: np.random.Generator, *operators: Conv2d | Dense | Flatten, shape: tuple[int, ...]
) -> Network:
    tensors = {"x": Tensor("x", shape)}
    for operator in operators:
        if not isinstance(operator, Flatten):
            in_channels = shape[-1] // operator.groups
            kernel = operator.kernel if isinstance(operator, Conv2d) else ()
            filters = operator.filters if isinstance(operator, Conv2d) else operator.units
            weight = random.normal(size=(*kernel, in_channels, filters))
            tensors[operator.weight] = Tensor(operator.weight, weight.shape, weight)
            if operator.bias:
                tensors[operator.bias] = Tensor(operator.bias, (filters,), random.normal(size=filters))
        shape = operator.output_shape(shape)
        tensors[operator.output] = Tensor(operator.output, shape)
    return Network("random", tensors, operators, ("x",), (operators[-1].output,))


@pytest.mark.parametrize("spec", [SIGNED, UNSIGNED], ids=["int8", "uint8"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_strided_and_grouped_convolutions(groups: int, spec: QuantizationSpec) -> None:
    random = np.random.default_rng(groups)
    layers = (
        Conv2d("a", ("x",), "a", "a.w", "a.b", groups=groups, filters=8, kernel=(3, 2), stride=(2, 1), padding="same"),
        Conv2d("b", ("a",), "b", "b.w", None, groups=groups, filters=4, kernel=(2, 2), stride=(1, 2)),
    )
    network = random_network(random, *layers, shape=(7, 6, 4))
    inputs = random.normal(size=(16, 7, 6, 4))
    assert_no_code_differs(quantize(network, inputs, spec, weight_bits=7, activation_bits=8), inputs)


@pytest.mark.parametrize("spec", [SIGNED, UNSIGNED], ids=["int8", "uint8"])
def test_dense_layers_without_a_bias(spec: QuantizationSpec) -> None:
    random = np.random.default_rng(7)
    layers = (Dense("a", ("x",), "a", "a.w", units=9), Dense("b", ("a",), "b", "b.w", units=5))
    inputs = random.normal(size=(64, 30))
    network = random_network(random, *layers, shape=(30,))
    assert_no_code_differs(quantize(network, inputs, spec, weight_bits=7, activation_bits=8), inputs)
