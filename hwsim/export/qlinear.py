"""ONNX Runtime's own operators on codes, which only a file whose tensors are codes can hold."""

from __future__ import annotations

from hwsim.export.graph import Attributes
from hwsim.export.writer import Form, OnnxWriter
from hwsim.network.operator import Operator
from hwsim.network.operators.qlinear import (
    QLinearAdd,
    QLinearAveragePool,
    QLinearGlobalAveragePool,
    QLinearMul,
    QLinearSoftmax,
)
from hwsim.network.operators.quantized import QuantizedOperator

SOFTMAX: Attributes = {"axis": -1, "opset": 13}


def _written(writer: OnnxWriter, operator: QuantizedOperator, attributes: Attributes) -> None:
    writer.integer_node(type(operator).__name__, operator.operands, operator.output, attributes)


def plain(writer: OnnxWriter, operator: QuantizedOperator) -> None:
    """The operator of the same name."""
    _written(writer, operator, {})


def softmax(writer: OnnxWriter, operator: QLinearSoftmax) -> None:
    """QLinearSoftmax along the last axis."""
    _written(writer, operator, SOFTMAX)


def average_pool(writer: OnnxWriter, operator: QLinearAveragePool) -> None:
    """QLinearAveragePool of channels first."""
    window = operator.window
    (above, below), (left, right) = window.padding
    attributes: Attributes = {
        "kernel_shape": list(window.kernel),
        "strides": list(window.stride),
        "pads": [above, left, below, right],
        "count_include_pad": int(window.counts_padding),
    }
    _written(writer, operator, attributes)


FORMS: dict[type[Operator], Form] = {
    QLinearAdd: plain,
    QLinearAveragePool: average_pool,
    QLinearGlobalAveragePool: plain,
    QLinearMul: plain,
    QLinearSoftmax: softmax,
}
