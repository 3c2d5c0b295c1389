"""Exported networks of many operators compute the integers that hwsim computes under profile onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export.exported_networks import ELEMENTS, of_a_file
from export.file_runs import FileRun
from shared_files import shared

from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.load import load_arch
from hwsim.errors import UnsupportedError
from hwsim.export.qdq import qdq_file
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload

BEYOND_FLOAT32 = "resnet8_static_wi8_ai16"


@pytest.mark.parametrize("name", sorted({*ELEMENTS} - {BEYOND_FLOAT32}))
def test_a_tflite_network_as_qdq_has_every_code_in_onnx_runtime(name: str) -> None:
    """Residual sums, depthwise convolutions, average pools, softmax, splits, concatenations, logistic, LSTM."""
    assert of_a_file(f"{name}.tflite").in_onnx_runtime() == (0, ELEMENTS[name])


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("kws_ref_model_tf2onnx", 219_396),
        ("pretrainedResnet_quant_tf2onnx", 362_940),
        ("micro_kws_m_static_qdq", 155_058),
        ("micro_kws_m_static_qoperator", 153_618),
    ],
)
def test_an_onnx_network_as_qdq_has_every_code_in_onnx_runtime(name: str, elements: int) -> None:
    """Also behind an AveragePool of operator set 13, whose kernel adds in another order than that of 21."""
    assert of_a_file(f"{name}.onnx").in_onnx_runtime() == (0, elements)


def test_an_onnx_network_as_qonnx_has_every_code_in_qonnx_executor() -> None:
    assert of_a_file("micro_kws_m_static_qdq.onnx").in_qonnx() == (0, 155_058)


@pytest.mark.parametrize(
    "name", ["ad01_int8", "catdog", "kws_ref_model", "pretrainedResnet_quant", "micro_speech_quantized", "vww_96_int8"]
)
def test_a_tflite_network_as_qonnx_has_every_code_in_qonnx_executor(name: str) -> None:
    """Also at ties of odd zero points, where a Quant node alone would add the zero point before it rounds."""
    assert of_a_file(f"{name}.tflite").in_qonnx() == (0, ELEMENTS[name])


RECURRENT = """\
schema_version: 1
name: recurrent
arrays: recurrent.npz
input_shape: [3, 4]
layers:
  - {name: lstm, type: lstm, units: 3}
  - {name: hidden, type: dense, units: 6}
  - {name: squash, type: tanh}
  - {name: out, type: dense, units: 2}
  - {name: chance, type: sigmoid}
data: {calibration: samples, inputs: samples, labels: classes}
"""


def recurrent(folder: Path) -> Workload:
    """An LSTM, sigmoid and tanh by table, two dense layers."""
    random = np.random.default_rng(0)
    shapes = {
        "lstm.input_weight": (4, 12), "lstm.recurrent_weight": (3, 12), "lstm.bias": (12,),
        "hidden.weight": (3, 6), "hidden.bias": (6,), "out.weight": (6, 2), "out.bias": (2,), "samples": (6, 3, 4),
    }  # fmt: skip
    arrays = {name: random.normal(0, 0.7, shape) for name, shape in shapes.items()}
    np.savez(folder / "recurrent.npz", **arrays, classes=np.zeros(6, np.int64))
    (folder / "workload.yaml").write_text(RECURRENT, "utf-8")
    return read_workload(folder)


def test_an_lstm_and_tables_have_every_code_in_both_kinds_of_file(tmp_path: Path) -> None:
    run = FileRun(recurrent(tmp_path), settings=("activation_lut.interpolation=linear",))
    assert run.in_onnx_runtime() == run.in_qonnx() == (0, sum(codes.size for codes in run.codes.values()))


def test_the_shipped_lstm_has_every_code_in_onnx_runtime() -> None:
    assert FileRun(read_workload("digits_lstm"), samples=100).in_onnx_runtime() == (0, 10_600)


def test_tables_of_an_lstm_are_stored_once() -> None:
    run = FileRun(read_workload("digits_lstm"), samples=1)
    assert len(run.qdq()) < 700_000


def test_sums_of_sixteen_bit_activations_beyond_float32_have_every_code_in_both_kinds_of_file() -> None:
    """Products of 16 by 8 bits, summed: parts of the activations are summed apart, and added as integers."""
    run = of_a_file(f"{BEYOND_FLOAT32}.tflite")
    assert run.in_onnx_runtime() == run.in_qonnx() == (0, ELEMENTS[BEYOND_FLOAT32])


def test_operators_of_onnx_runtimes_own_have_no_form_as_qonnx() -> None:
    with pytest.raises(UnsupportedError) as refused:
        of_a_file("micro_kws_m_static_qoperator.onnx").qonnx()
    assert str(refused.value).splitlines()[0] == (
        "layer qlinearaveragepool_5: QLinearAveragePool has no form in a file whose tensors are reals; "
        "allowed: export qdq"
    )


def test_what_has_no_form_is_named_all_at_once() -> None:
    spec = load_arch("edge16", ["requantizer.rounding_profile=onnxruntime"])
    workload = read_workload(shared("models", "resnet8_weight_only_wi8_afp32.tflite"))
    with pytest.raises(UnsupportedError) as refused:
        qdq_file(compile_workload(spec, workload).network, lowering_options(spec))
    assert str(refused.value) == "layer conv_2d_1 and 9 more: RealProduct has no form in an exported file"
