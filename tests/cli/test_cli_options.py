"""Options without effect and files of the wrong kind are refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Hwsim
from shared_files import shared


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("check", "edge16", "digits_mlp", "--seed", "1"), "--seed without --against or --rtl --gemm; allowed: both"),
        (("run", "edge16", "digits_mlp", "--vcd-folds", "0:2"), "--vcd-folds without --vcd; allowed: both"),
        (
            ("run", "edge16", "digits_mlp", "--trace", "trace.png", "--dump-tensors", "t.json"),
            "--dump-tensors t.json: a name that ends with '.json'; allowed: .npz\n"
            "hwsim: --trace trace.png: a name that ends with '.png'; allowed: .json",
        ),
        (("export", "qdq", "edge16", "digits_mlp", "m.tflite"), "FILE m.tflite: a name that ends with '.tflite'; "
         "allowed: .onnx"),
    ],
)  # fmt: skip
def test_it_is_said_what_is_allowed(hwsim: Hwsim, here: Path, arguments: tuple[str, ...], text: str) -> None:
    outcome = hwsim(*arguments)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"hwsim: {text}\n")
    assert list(here.iterdir()) == []


def test_check_says_which_layers_may_overflow(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "digits_cnn", "--set", "array.guard_bits=3")
    assert outcome.code == 0
    lines = [line for line in outcome.out.splitlines() if "may overflow the" in line]
    assert len(lines) == 1
    assert "may overflow the 19-bit accumulator; bits that suffice for their weights: " in lines[0]


def test_check_is_silent_where_the_accumulator_suffices(hwsim: Hwsim) -> None:
    assert "may overflow the" not in hwsim("check", "edge16", "digits_cnn").out


def test_many_layers_that_do_not_fit_for_one_reason_take_two_lines(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "edge16", "resnet50", "--set", "scratchpads.weights.capacity_bytes=16")
    assert outcome.code == 2
    first, second = outcome.err.splitlines()
    assert first.startswith("hwsim: layer conv1: the smallest tile's weights need ")
    assert second.startswith("hwsim: so it is with 53 more layers: ")
    assert second.endswith(" and 45 more")


def test_sums_that_are_all_zero_need_any_guard_bits(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "zeros.npy", np.zeros((1, 64)))
    setting = ("--set", "array.zero_point=operand")
    outcome = hwsim("analyze", "guard-bits", "edge16", "digits_mlp", "--inputs", "zeros.npy", *setting)
    row = next(line.split() for line in outcome.out.splitlines() if line.startswith("hidden"))
    assert ("never" in row, "any" in row) == (True, True)


def test_a_cut_off_tflite_file_is_called_that(hwsim: Hwsim, here: Path) -> None:
    content = shared("models", "hello_world_int8.tflite").read_bytes()
    (here / "half.tflite").write_bytes(content[:1000])
    outcome = hwsim("run", "edge16", "half.tflite")
    assert outcome.code == 2
    assert outcome.err == (
        "hwsim: half.tflite: damaged or cut off: its 1000 bytes point to places that they do not have\n"
    )


def test_a_sweep_takes_calibration_samples(hwsim: Hwsim, here: Path) -> None:
    """A float model has none of its own; its entry in the sweep, or the option, names them."""
    model = shared("models", "pretrainedResnet.tflite")
    samples = np.random.default_rng(0).random((2, 32, 32, 3))
    np.save(here / "samples.npy", samples)
    text = (
        f"schema_version: 1\narchitecture: edge16\nworkloads: [{{workload: {model}, inputs: samples.npy}}]\naxes: []\n"
    )
    (here / "sweep.yaml").write_text(text)
    command = ("sweep", "sweep.yaml", "--jobs", "1", "--no-plots", "--out", "results")
    without = hwsim(*command)
    assert without.code == 5
    assert "no calibration data" in without.err
    assert hwsim(*command, "--calibration", "samples.npy").code == 0
