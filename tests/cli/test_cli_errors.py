"""Every kind of error: its exit code, and its text on stderr, one line for each problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Hwsim, mlp_samples

from hwsim.errors import CheckFailedError, UnsupportedError

RUN = ("run", "edge16", "digits_mlp", "--samples", "2")
SHIPPED = "shipped: datacenter64, edge16, edge8_ws"


def test_a_misspelt_key_is_named_with_its_place(hwsim: Hwsim, here: Path) -> None:
    (here / "chip.yaml").write_text("schema_version: 1\narray:\n  rowz: 4\n")
    outcome = hwsim("run", "chip.yaml", "digits_mlp")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "hwsim: chip.yaml:3:3: array.rowz: unknown key; allowed: rows, cols, dataflow, fold_overlap, "
        "number_format, accumulator_format, weight_bits, activation_bits, guard_bits, overflow, zero_point; "
        "did you mean 'rows'?\n"
    )


def test_problems_of_architecture_and_workload_are_told_at_once(hwsim: Hwsim) -> None:
    outcome = hwsim("run", "egde16", "digits_mpl")
    assert outcome.code == 2
    assert outcome.err == (
        f"hwsim: no architecture 'egde16': neither a path nor a shipped name; {SHIPPED}; did you mean 'edge16'?\n"
        "hwsim: no workload 'digits_mpl': neither a path nor a shipped name; shipped: bert_base, digits_cnn, "
        "digits_lstm, digits_mlp, digits_transformer, gpt2, mobilenet_v2, resnet50; did you mean 'digits_mlp'?\n"
    )


def test_every_bad_setting_is_told(hwsim: Hwsim) -> None:
    outcome = hwsim(*RUN, "--set", "rows=4", "--set", "array.rows", "--set", "array.cols=0")
    assert outcome.code == 2
    assert sorted(outcome.err.splitlines()) == [
        "hwsim: --set array.cols=0: array.cols: 0 is out of range; allowed: 1 to 1024",
        "hwsim: --set array.rows: must be KEY=VALUE, such as array.rows=32",
        "hwsim: --set rows=4: rows: unknown key; did you mean 'array.rows'?",
    ]


def test_brackets_and_long_lines_are_printed_as_they_are(hwsim: Hwsim) -> None:
    name = "[bold]" + "x" * 150 + "[nothing] :smile:"
    assert hwsim("run", name, "digits_mlp").err.startswith("hwsim: no architecture '[bold]xxx")
    error = hwsim("list", name).err
    assert error.startswith(f"hwsim: unknown kind '{name}'; allowed: architectures, ")
    assert error.count("\n") == 1


def test_unknown_names_of_options_are_told_with_the_closest(hwsim: Hwsim) -> None:
    assert hwsim(*RUN, "--engine", "steped").err == (
        "hwsim: unknown engine 'steped'; allowed: stepped, functional; did you mean 'stepped'?\n"
    )
    assert hwsim("schema", "arhc").err == (
        "hwsim: unknown kind 'arhc'; allowed: arch, sweep, workload; did you mean 'arch'?\n"
    )


@pytest.mark.parametrize(
    "args",
    [
        ("rnu",),
        ("run",),
        ("run", "edge16"),
        ("run", "edge16", "digits_mlp", "--sampels", "3"),
        ("run", "edge16", "digits_mlp", "--samples", "few"),
        ("run", "edge16", "digits_mlp", "more"),
    ],
)
def test_wrong_usage_exits_2_without_a_traceback(hwsim: Hwsim, args: tuple[str, ...]) -> None:
    outcome = hwsim(*args)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: hwsim")
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("samples", ["0", "-1", "541"])
def test_more_samples_than_there_are_is_refused(hwsim: Hwsim, samples: str) -> None:
    outcome = hwsim("run", "edge16", "digits_mlp", "--samples", samples)
    assert (outcome.code, outcome.err) == (2, f"hwsim: {samples} samples; allowed: 1 to 540\n")


def test_inputs_of_a_wrong_shape_are_refused(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "x.npy", np.zeros((3, 8, 8)))
    outcome = hwsim("run", "edge16", "digits_mlp", "--inputs", "x.npy")
    assert outcome.code == 2
    assert outcome.err == "hwsim: inputs of shape [3, 8, 8]; allowed: [samples, 64], one sample or more\n"


def test_nan_in_inputs_and_a_wrong_label_are_told_at_once(hwsim: Hwsim, here: Path) -> None:
    inputs, labels = mlp_samples(3)
    inputs[1, 5] = np.nan
    np.save(here / "x.npy", inputs)
    np.save(here / "y.npy", labels + 10)
    outcome = hwsim("run", "edge16", "digits_mlp", "--inputs", "x.npy", "--labels", "y.npy")
    assert outcome.code == 2
    assert outcome.err == (
        "hwsim: x.npy: holds NaN or infinity; allowed: finite numbers\n"
        "hwsim: y.npy: holds other labels than class numbers; allowed: 0 to 9\n"
    )


def test_labels_must_be_as_many_as_inputs(hwsim: Hwsim, here: Path) -> None:
    inputs, labels = mlp_samples(3)
    np.save(here / "x.npy", inputs)
    np.save(here / "y.npy", labels[:2])
    outcome = hwsim("run", "edge16", "digits_mlp", "--inputs", "x.npy", "--labels", "y.npy")
    assert (outcome.code, outcome.err) == (2, "hwsim: labels of shape [2]; allowed: [3], one for each input\n")


def test_labels_without_inputs_are_refused(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "y.npy", mlp_samples(3)[1])
    outcome = hwsim("run", "edge16", "digits_mlp", "--labels", "y.npy")
    assert (outcome.code, outcome.err) == (2, "hwsim: labels without inputs; allowed: both, or the workload's own\n")


def test_files_that_hold_no_single_array_of_numbers_are_refused(hwsim: Hwsim, here: Path) -> None:
    inputs, _ = mlp_samples(3)
    np.savez(here / "two.npz", a=inputs, b=inputs)
    np.save(here / "text.npy", np.array(["a"]))
    np.savez(here / "whole.npz", input=inputs)
    (here / "cut.npz").write_bytes((here / "whole.npz").read_bytes()[:-60])
    (here / "x.csv").write_text("1,2\n")

    def refusal(name: str) -> str:
        outcome = hwsim("run", "edge16", "digits_mlp", "--inputs", name)
        assert (outcome.code, outcome.out) == (2, "")
        return outcome.err

    assert refusal("two.npz") == (
        "hwsim: two.npz: no array 'input'; the file has: a, b; allowed: that one, or a single array\n"
    )
    assert refusal("text.npy") == "hwsim: text.npy: type <U1; allowed: integers or floats\n"
    assert refusal("cut.npz") == "hwsim: cut.npz: not a readable .npz file (File is not a zip file)\n"
    assert refusal("x.csv") == "hwsim: x.csv: not a name of an array file; allowed: FILE.npy or FILE.npz\n"
    assert refusal("none.npy") == "hwsim: none.npy: no such file\n"


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(
    hwsim: Hwsim, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwsim.cli.run.simulate", lambda *_, **__: pytest.fail("it ran"))
    (here / "file").write_text("")
    outcome = hwsim(*RUN, "--out", "file", "--dump-tensors", ".")
    assert outcome.code == 2
    assert outcome.err == (
        "hwsim: file: a file; allowed: a folder to write to\nhwsim: .: a folder; allowed: a file to write\n"
    )


def test_overflow_error_exits_6_with_the_place(hwsim: Hwsim) -> None:
    outcome = hwsim(*RUN, "--set", "array.overflow=error", "--set", "array.guard_bits=-4")
    assert (outcome.code, outcome.out) == (6, "")
    assert outcome.err == "hwsim: layer hidden: accumulator of 12 bits overflows in cycle 0, row 0, column 0\n"


def test_unsupported_operators_exit_3_with_a_line_each(hwsim: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UnsupportedError("operator a\noperator b")

    monkeypatch.setattr("hwsim.cli.inputs.read_workload", refuse)
    outcome = hwsim(*RUN)
    assert (outcome.code, outcome.err) == (3, "hwsim: operator a\nhwsim: operator b\n")


def test_engines_that_differ_exit_4(hwsim: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(*_: object) -> None:
        raise CheckFailedError("layer hidden: output element [3] is 1 stepped, 2 functional")

    monkeypatch.setattr("hwsim.cli.check.compare_engines", differ)
    outcome = hwsim("check", "edge16", "digits_mlp", "--engines")
    assert (outcome.code, outcome.err) == (
        4,
        "hwsim: layer hidden: output element [3] is 1 stepped, 2 functional\n",
    )


def test_an_interruption_exits_130(hwsim: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hwsim.cli.inputs.read_workload", interrupt)
    outcome = hwsim(*RUN)
    assert (outcome.code, outcome.err) == (130, "hwsim: interrupted\n")


def test_a_defect_of_hwsim_shows_its_traceback(hwsim: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hwsim.cli.inputs.read_workload", fail)
    with pytest.raises(ZeroDivisionError):
        hwsim(*RUN)
