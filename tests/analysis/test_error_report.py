"""Errors per layer, computed again with NumPy from the tensors that a run dumps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hwsim.analysis.error import run_with_errors
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.execute.floating import float_values
from hwsim.quantize.fuse import fuse
from hwsim.readers.read import read_workload
from hwsim.results.run_result import RunResult
from hwsim.samples import Samples, choose_samples
from hwsim.simulate import integer_tensors, simulate

NARROW = ("array.weight_bits=4", "array.activation_bits=4", "array.guard_bits=-1")


@pytest.fixture(scope="module")
def digits() -> Samples:
    return choose_samples(read_workload("digits_cnn"), samples=300)


@pytest.mark.parametrize("overrides", [(), NARROW])
def test_against_numpy_on_dumped_tensors(digits: Samples, overrides: tuple[str, ...]) -> None:
    spec = load_arch("edge16", overrides)
    rows = run_with_errors(spec, digits).errors.set_index("layer")
    assert list(rows.index) == ["input", "conv1", "pool1", "conv2", "pool2", "conv3", "fc1", "logits"]
    codes, grids = integer_tensors(spec, digits), compile_workload(spec, digits.workload).network.tensors
    floats = dict(float_values(fuse(digits.workload.network), digits.inputs["input"]))
    for layer, row in rows.iterrows():
        grid, exact = grids[row["tensor"]].quantization, floats[row["tensor"]]
        assert grid is not None
        found = float(grid.scale) * (codes[row["tensor"]] - int(grid.zero_point))
        assert row["sqnr_db"] == pytest.approx(10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum())), layer
        assert row["mean_error"] == pytest.approx((found - exact).mean())
        assert row["worst_error"] == pytest.approx(np.abs(found - exact).max())
        low, high = (float(grid.scale) * (end - int(grid.zero_point)) for end in (grid.format.min, grid.format.max))
        half = float(grid.scale) / 2
        assert row["clipping_rate"] == pytest.approx(((exact < low - half) | (exact > high + half)).mean(), abs=1e-5)
        at_ends = ((found <= low) & (exact < low)) | ((found >= high) & (exact > high))
        assert row["saturation_rate"] == pytest.approx(at_ends.mean(), abs=1e-5)


def test_the_last_layers_ratio_is_the_runs(digits: Samples) -> None:
    result = run_with_errors(load_arch("edge16"), digits)
    assert result.tensor_errors[-1].sqnr_db == pytest.approx(result.sqnr_db)
    assert (
        result.layer_results
        == simulate(load_arch("edge16"), digits, engine="functional", with_data=False).layer_results
    )


def test_more_bits_less_noise_in_every_layer(digits: Samples) -> None:
    ratios = [
        [error.sqnr_db for error in run_with_errors(load_arch("edge16", bits), digits).tensor_errors]
        for bits in (
            ("array.weight_bits=6", "array.activation_bits=6"),
            (),
            ("array.weight_bits=12", "array.activation_bits=12"),
        )
    ]
    for few, some, many in zip(*ratios, strict=True):
        assert few < some < many


def test_stored_and_read_again(digits: Samples) -> None:
    result = run_with_errors(load_arch("edge16"), digits)
    stored = json.loads(json.dumps(result.to_json_dict()))
    assert RunResult.from_json_dict(stored) == result
    del stored["errors"]  # as a result without them was stored before there were any
    assert RunResult.from_json_dict(stored).tensor_errors == ()


def test_a_file_of_integers_has_nothing_to_compare_with(digits: Samples) -> None:
    quantized = replace(digits.workload, network=replace(digits.workload.network, holds_codes=True))
    with pytest.raises(
        UnsupportedError, match=r"workload digits_cnn keeps its file.s own numbers: there is no float network"
    ):
        run_with_errors(load_arch("edge16"), replace(digits, workload=quantized))


def test_shapes_alone_have_no_errors() -> None:
    with pytest.raises(ConfigError, match="bert_base has shapes alone and no values to compute with"):
        run_with_errors(load_arch("edge16"), choose_samples(read_workload("bert_base")))
