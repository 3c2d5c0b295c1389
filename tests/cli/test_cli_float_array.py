"""Arrays of floats from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_line import Hwsim

RUN = ("run", "edge16", "digits_mlp", "--samples", "20", "--set", "array.number_format=bf16")


def test_run_says_what_the_macs_compute_with(hwsim: Hwsim) -> None:
    outcome = hwsim(*RUN)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[1] == "16 × 16 output_stationary, bf16 operands, fp32 accumulators"


def test_json_has_the_widths_of_the_formats(hwsim: Hwsim) -> None:
    result = hwsim(*RUN, "--json").json
    layer = result["layers"][0]
    assert (layer["weight_bits"], layer["activation_bits"], layer["accumulator_bits"]) == (16, 16, 32)
    assert (result["engine"], result["architecture"]["array"]["number_format"]) == ("functional", "bf16")


def test_tensors_are_dumped_in_single_precision(hwsim: Hwsim, here: Path) -> None:
    assert hwsim(*RUN, "--dump-tensors", "tensors.npz").code == 0
    with np.load(here / "tensors.npz") as tensors:
        assert {one.dtype for one in tensors.values()} == {np.dtype(np.float32)}
        assert tensors["logits"].shape == (20, 10)


def test_the_stepped_engine_and_waves_are_refused(hwsim: Hwsim) -> None:
    outcome = hwsim(*RUN, "--engine", "stepped")
    assert outcome.code == 2
    assert "engine stepped with array.number_format bf16" in outcome.err
    outcome = hwsim(*RUN, "--vcd", "waves.vcd")
    assert outcome.code == 2
    assert "array.number_format bf16: there are no integers here to work with" in outcome.err


def test_overflow_error_is_exit_6(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "x.npy", np.full((1, 64), 1e9))
    settings = ("--set", "array.number_format=fp16", "--set", "array.overflow=error", "--inputs", "x.npy")
    outcome = hwsim("run", "edge16", "digits_mlp", *settings)
    assert outcome.code == 6
    assert "layer hidden: values leave fp16, or sums fp32: infinite or NaN" in outcome.err


def test_check_says_what_sums_are_kept_in(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "--set", "array.number_format=fp8_e4m3")
    assert outcome.code == 0
    assert "fp32 sums of fp8_e4m3 products; the largest is 3.40282e+38" in outcome.out
    assert hwsim("check", "edge16", "--set", "array.number_format=fp8_e4m3", "--json").json["accumulator_bits"] == 32


def test_rtl_of_floats_is_refused(hwsim: Hwsim) -> None:
    outcome = hwsim("rtl", "area", "edge16", "--set", "array.number_format=fp16")
    assert outcome.code == 2
    assert "array.number_format fp16: there are no integers here to work with" in outcome.err
