"""Random models of one integer LSTM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from model_builder import ABSENT, Graph, Operator, Tensor
from operator_models import random_quantization
from product_models import random_scale

from hwsim.numerics.lstm import StateGrids
from hwsim.numerics.tflite.lstm_build import LstmTensors
from hwsim.oracles.ask import Case


@dataclass
class LstmModel:
    """``codes`` are one sample's inputs in the model's layout."""

    case: Case
    tensors: LstmTensors
    codes: np.ndarray
    time_major: bool
    hidden_tensor: int
    cell_tensor: int
    output_tensor: int


def random_lstm(random: np.random.Generator) -> LstmModel:
    batch, time, inputs, cells = (int(size) for size in random.integers(1, [4, 9, 20, 16]))
    exponent = -int(random.integers(9, 16))
    input_quantization = random_quantization(random, 8, 5e-3, 5e-2)
    clip = float(np.float32(random.choice([0.0, 0.0, 10.0, random.uniform(0.01, 3.0)])))
    states = StateGrids(random_quantization(random, 8, 4e-3, 2e-2), 2.0**exponent, clip)
    tensors = LstmTensors(
        input=input_quantization,
        states=states,
        input_weights=[random.integers(-127, 128, (cells, inputs)) for _ in range(4)],
        recurrent_weights=[random.integers(-127, 128, (cells, cells)) for _ in range(4)],
        biases=[random.integers(-3000, 3000, cells) for _ in range(4)],
        input_weight_scales=[random_scale(random, 1e-3, 3e-2) for _ in range(4)],
        recurrent_weight_scales=[random_scale(random, 1e-3, 3e-2) for _ in range(4)],
    )
    time_major = bool(random.integers(2))
    codes = random.integers(-128, 128, (time, batch, inputs) if time_major else (batch, time, inputs))
    graph = lstm_graph(tensors, codes.shape, batch, time_major=time_major)
    operands = graph.operators[0].inputs
    case = Case(graph.build(), [codes.astype(np.int8)[None]])
    return LstmModel(case, tensors, codes, time_major, operands[18], operands[19], graph.outputs[0])


def lstm_graph(tensors: LstmTensors, shape: tuple[int, ...], batch: int, *, time_major: bool) -> Graph:
    """Inputs 0 x; 1-4 W; 5-8 R; 12-15 biases; 18 hidden state; 19 cell state; the others are absent."""
    graph = Graph()
    cells = len(tensors.biases[0])
    x = graph.add(Tensor(shape, "int8", float(tensors.input.scale), int(tensors.input.zero_point)))
    weights = zip(
        [*tensors.input_weights, *tensors.recurrent_weights],
        [*tensors.input_weight_scales, *tensors.recurrent_weight_scales],
        strict=True,
    )
    operands = [x, *(graph.constant(codes.astype(np.int8), scale) for codes, scale in weights)]
    operands += [ABSENT] * 3
    scales = [float(tensors.input.scale) * scale for scale in tensors.input_weight_scales]
    pairs = zip(tensors.biases, scales, strict=True)
    operands += [graph.constant(bias.astype(np.int32), scale) for bias, scale in pairs]
    operands += [ABSENT] * 2
    hidden = (float(tensors.states.hidden.scale), int(tensors.states.hidden.zero_point))
    operands.append(graph.add(Tensor((batch, cells), "int8", *hidden, variable=True)))
    operands.append(graph.add(Tensor((batch, cells), "int16", tensors.states.cell_scale, variable=True)))
    operands += [ABSENT] * 4
    output = graph.add(Tensor((*shape[:2], cells), "int8", *hidden))
    intermediates = [graph.add(Tensor((0,), "int16", 2.0**-12)) for _ in range(4)]
    intermediates.append(graph.add(Tensor((0,), "int8", *hidden)))
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.cellClip, options.timeMajor = tensors.states.cell_clip, time_major
    operator = Operator("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [output], options, intermediates)
    graph.operators, graph.inputs, graph.outputs = [operator], [x], [output]
    return graph
