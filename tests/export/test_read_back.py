"""Exported files are workloads: hwsim reads back the integers that it has written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from export.exported_networks import ELEMENTS, of_a_file
from export.file_runs import FileRun
from exported import Exported, in_onnx_runtime
from processor import in_order_of_x86

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.export.qdq import qdq_file
from hwsim.export.qonnx import qonnx_file
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
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


def read_back(path: Path, content: bytes, run: FileRun, constants: Sequence[str] = ()) -> tuple[int, int]:
    """How many codes differ of how many, between a network and its exported file as hwsim reads it.

    ``constants`` are what the file's constants alone say, which is no activation there.
    """
    path.write_bytes(content)
    chosen = choose_samples(read_workload(path), inputs=dict(run.reals))
    found = integer_tensors(load_arch("edge16", WIDE), chosen)
    return run.differences(lambda name: np.asarray(found[name]), constants)


WIDE = ("array.activation_bits=16", "array.guard_bits=16")
LSTM = "trained_lstm_int8"


@pytest.mark.parametrize("name", sorted({*ELEMENTS} - {LSTM}))
def test_every_code_of_a_public_network_comes_back(tmp_path: Path, name: str) -> None:
    """Residual sums, pools, softmax, tables, 16-bit activations, from both kinds of file."""
    run, path = of_a_file(f"{name}.tflite", WIDE), tmp_path / "model.onnx"
    assert read_back(path, run.qdq(), run) == read_back(path, run.qonnx(), run) == (0, ELEMENTS[name])


def test_every_code_of_the_lstm_comes_back(tmp_path: Path) -> None:
    """Words of gates and cells, their tables, and states between the steps, in 32-bit integers of the file."""
    run, path = FileRun(read_workload("digits_lstm"), samples=50), tmp_path / "model.onnx"
    assert read_back(path, run.qdq(), run) == read_back(path, run.qonnx(), run) == (0, 5_300)


def test_every_code_of_a_public_lstm_comes_back(tmp_path: Path) -> None:
    """But for what its states before the first step give, which are constants."""
    run, path = of_a_file(f"{LSTM}.tflite", WIDE), tmp_path / "model.onnx"
    found = [read_back(path, content, run, ("16", "17")) for content in (run.qdq(), run.qonnx())]
    assert found == [(0, 5_772), (0, 5_772)]


def test_every_code_of_the_transformer_comes_back(tmp_path: Path) -> None:
    """A Gaussian unit by table, products of two activations, normalized rows."""
    run, path = FileRun(read_workload("digits_transformer"), samples=50), tmp_path / "model.onnx"
    assert read_back(path, run.qdq(), run) == read_back(path, run.qonnx(), run) == (0, 259_700)


def test_places_beyond_a_table_are_refused(tmp_path: Path) -> None:
    run, path = FileRun(read_workload("digits_transformer"), samples=1), tmp_path / "model.onnx"
    model = onnx.load_from_string(run.qdq())
    table = next(one for one in model.graph.initializer if one.name.startswith("table."))
    table.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(table)[:-1], table.name))
    with pytest.raises(ConfigError) as refused:
        read_back(path, model.SerializeToString(), run)
    assert str(refused.value).endswith("(Gather): places 0 to 255; allowed: -255 to 254")


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
