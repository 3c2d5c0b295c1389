"""Exported files are workloads: hwsim reads back the integers that it has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from export.file_runs import FileRun
from exported import Exported, in_onnx_runtime
from processor import in_order_of_x86
from shared_files import shared

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.export.qdq import qdq_file
from hwsim.export.qonnx import qonnx_file
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

NETWORKS = ("digits_mlp", "digits_cnn")
STORED_BITS = {qdq_file: 4, qonnx_file: 2}  # the narrowest weights that a file tells apart


@pytest.mark.parametrize(
    ("write", "workload", "bits"),
    [(qdq_file, workload, bits) for workload in NETWORKS for bits in (8, 4, 3)]
    + [(qonnx_file, workload, bits) for workload in NETWORKS for bits in (8, 4, 3)],
)
def test_every_code_comes_back(
    tmp_path: Path, write: Callable[[Network, LoweringOptions], bytes], workload: str, bits: int
) -> None:
    case = Exported(workload, bits, 540)
    path = tmp_path / "model.onnx"
    path.write_bytes(write(case.network, case.options))
    widths = [f"array.weight_bits={max(bits, STORED_BITS[write])}", f"array.activation_bits={bits}"]
    chosen = choose_samples(read_workload(path), inputs=case.inputs)
    found = integer_tensors(load_arch("edge16", [*widths, "array.guard_bits=16"]), chosen)
    wrong, elements = case.differences(lambda name: np.asarray(found[name]))
    assert (wrong, elements > 70_000) == (0, True)


@in_order_of_x86
@pytest.mark.parametrize("workload", NETWORKS)
def test_a_file_of_real_scales_that_is_read_back_has_the_codes_of_its_float32_sums(
    tmp_path: Path, workload: str
) -> None:
    """As in ONNX Runtime node by node, image by image; the network itself sums integers, as ONNX Runtime's fusions."""
    case = Exported(workload, 8, 540)
    path = tmp_path / "model.onnx"
    path.write_bytes(qdq_file(case.network, case.options, real_scales=True))
    chosen = choose_samples(read_workload(path), inputs=case.inputs)
    found = integer_tensors(load_arch("edge16", ["array.guard_bits=16"]), chosen)
    theirs = in_onnx_runtime(path.read_bytes(), case.inputs, list(case.codes), fused=False)
    assert {name: int(np.count_nonzero(found[name] != theirs[name])) for name in theirs} == dict.fromkeys(theirs, 0)
    assert sum(codes.size for codes in theirs.values()) > 70_000


@in_order_of_x86
@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("ad01_int8", 6_936),
        ("catdog", 7_743),
        ("kws_ref_model", 217_926),
        ("pretrainedResnet_quant", 353_724),
        ("resnet8_static_wi8_ai16", 353_724),
        ("vww_96_int8", 779_148),
    ],
)
def test_public_networks_that_are_read_back_have_every_code_of_onnx_runtime(
    tmp_path: Path, name: str, elements: int
) -> None:
    """Also where float32's 24 bits cannot hold sums of 16-bit activations."""
    workload = read_workload(shared("models", f"{name}.tflite"))
    settings = ("array.activation_bits=16", "array.guard_bits=16")
    written = FileRun(workload, random_inputs(workload.network, 3, 0), settings=settings)
    path = tmp_path / "model.onnx"
    path.write_bytes(written.qdq())
    chosen = choose_samples(read_workload(path), inputs=dict(written.reals))
    found = integer_tensors(load_arch("edge16", settings), chosen)
    codes = {name: values for name, values in found.items() if values.dtype.kind == "i"}
    theirs = in_onnx_runtime(path.read_bytes(), written.reals, list(codes), fused=False)
    assert sum(int(np.count_nonzero(codes[name] != theirs[name])) for name in codes) == 0
    assert sum(values.size for values in theirs.values()) == elements


def test_a_file_keeps_its_widths(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    case = Exported("digits_mlp", 6, 1)
    path.write_bytes(qonnx_file(case.network, case.options))
    inputs = np.zeros((1, 64), np.float32)
    with pytest.raises(ConfigError) as refused:
        run("edge16", path, inputs=inputs, overrides=["array.weight_bits=5"])
    assert refused.value.problems == tuple(
        f"layer {layer}: weights of 6 bits; array.weight_bits is 5; allowed: 6 or more"
        for layer in ("gemm_5", "gemm_12")
    )


def test_it_runs_on_the_machine(tmp_path: Path) -> None:
    """Accuracy of the written network, from the file, stepped."""
    case = Exported("digits_cnn", 4, 30)
    path = tmp_path / "model.onnx"
    path.write_bytes(qonnx_file(case.network, case.options))
    settings = ["array.weight_bits=4", "array.activation_bits=4", "array.guard_bits=16"]
    again = run("edge16", path, inputs=case.inputs, labels=case.chosen.labels, overrides=settings)
    first = run(case.spec, case.workload, samples=30)
    assert again.accuracy == first.accuracy
    assert again.totals["macs"] == first.totals["macs"]
