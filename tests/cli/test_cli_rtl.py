"""``check --rtl``, ``export rtl``, ``rtl area`` and ``run --vcd``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Hwsim

from hwsim.errors import CheckFailedError

needs_simulator = pytest.mark.skipif(
    shutil.which("iverilog") is None and shutil.which("verilator") is None,
    reason="neither Icarus Verilog nor Verilator is installed",
)


@needs_simulator
def test_a_random_product_agrees(hwsim: Hwsim) -> None:
    outcome = hwsim("check", "--rtl", "edge8_ws", "--gemm", "9x10x11", "--seed", "4", "--json")
    assert outcome.code == 0
    found = outcome.json["layers"]["gemm"]
    assert outcome.json["differences"] == 0
    assert (found["values"], found["codes"], found["table_codes"]) == (99, 99, 99)
    # column and depth tiles of 8: 4 folds of 2 * 8 + 8 + 9 - 2 cycles, and the last store
    assert (found["total_cycles"], found["mac_cycles"]) == (4 * 31 + 1, 4 * 31)


@needs_simulator
@pytest.mark.parametrize("place", [["digits_cnn"], ["--workload", "digits_cnn"]])
def test_a_layer_of_a_workload_agrees(hwsim: Hwsim, place: list[str]) -> None:
    outcome = hwsim("check", "edge16", *place, "--rtl", "--layer", "logits")
    assert outcome.code == 0
    assert "0 differences between the stepped engine and the RTL" in outcome.out


def test_a_difference_is_exit_code_4(hwsim: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(*_: object) -> None:
        raise CheckFailedError("layer gemm: cycle 3, row 0, column 1: engine overflows, RTL does not")

    monkeypatch.setattr("hwsim.cli.rtl.compare_products", differ)
    outcome = hwsim("check", "--rtl", "edge16")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == "hwsim: layer gemm: cycle 3, row 0, column 1: engine overflows, RTL does not\n"


def test_without_a_simulator_one_line_says_how_to_get_one(hwsim: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    outcome = hwsim("check", "--rtl", "edge16")
    assert outcome.code == 2
    assert (
        outcome.err == "hwsim: no SystemVerilog simulator is installed; get one with `apt install verilator iverilog`\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rtl", "--gemm", "20xx3"], "--gemm 20xx3; allowed: out_rows, depth and out_cols as in 20x64x16, each "),
        (["--rtl", "--layer", "conv1"], "--layer without a workload; allowed: both"),
        (["digits_cnn", "--rtl", "--gemm", "2x2x2"], "--gemm and a workload; allowed: one of them"),
        (["digits_cnn", "--workload", "digits_mlp"], "WORKLOAD and --workload; allowed: one of them"),
        (["--gemm", "2x2x2"], "--gemm without --rtl; allowed: both"),
        (["--rtl", "--simulator", "verilater"], "unknown simulator 'verilater'; allowed: verilator, icarus; did you "),
        (["digits_cnn", "--rtl", "--engines"], "--engines and --rtl; allowed: one after the other"),
        (["digits_cnn", "--rtl", "--layer", "conv9"], "no layer 'conv9'; allowed: conv1, conv2, conv3, fc1, logits; "),
    ],
)
def test_wrong_options_are_refused(hwsim: Hwsim, options: list[str], message: str) -> None:
    outcome = hwsim("check", "edge16", *options)
    assert outcome.code == 2
    assert outcome.err.startswith(f"hwsim: {message}")


def test_export_writes_a_folder_for_each_layer(hwsim: Hwsim, here: Path) -> None:
    outcome = hwsim("export", "rtl", "edge8_ws", "digits_mlp", "chip")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == ["layer  chip/hidden", "layer  chip/logits", "next: make -C chip"]
    assert (here / "chip" / "hidden" / "weights.hex").is_file()
    (here / "file").write_text("")
    assert hwsim("export", "rtl", "edge8_ws", "digits_mlp", "file").err.startswith("hwsim: file: a file; allowed: ")


@pytest.mark.skipif(shutil.which("yosys") is None, reason="Yosys is not installed (apt install yosys)")
def test_area_grows_with_the_operands(hwsim: Hwsim) -> None:
    wide = hwsim("rtl", "area", "edge16", "--json").json
    narrow = hwsim("rtl", "area", "edge16", "--set", "array.weight_bits=4", "--json").json
    assert narrow["pe"]["cells"] < wide["pe"]["cells"]
    assert wide["pe"]["flip_flops"] == 8 + 8 + 24 + 2  # operands, sum, and a valid bit for each operand


def test_sources_are_printed(hwsim: Hwsim) -> None:
    paths = [Path(line) for line in hwsim("rtl", "sources").out.splitlines()]
    assert "os_pe.sv" in [path.name for path in paths]
    assert all(path.is_file() for path in paths)


def test_waves_are_written_for_a_layer_and_its_folds(hwsim: Hwsim, here: Path) -> None:
    outcome = hwsim(
        "run",
        "edge8_ws",
        "digits_cnn",
        "--samples",
        "1",
        "--vcd",
        "w.vcd",
        "--vcd-layer",
        "conv2",
        "--vcd-folds",
        "1:2",
    )
    assert outcome.code == 0
    assert outcome.out.rstrip().endswith("wrote w.vcd")
    assert "$scope module weight_stationary" in (here / "w.vcd").read_text()
    assert [file.name for file in here.iterdir()] == ["w.vcd"]
    wrong = hwsim("run", "edge8_ws", "digits_cnn", "--samples", "1", "--vcd", "w.vcd", "--vcd-folds", "2:2")
    assert wrong.err == "hwsim: --vcd-folds 2:2; allowed: FIRST:END such as 0:1, END not included\n"


def test_waves_are_those_of_the_batch_that_runs(hwsim: Hwsim, here: Path) -> None:
    """Nine rows are two folds of eight for each of two tiles of columns; one row is one."""
    waves = ("run", "edge8_ws", "digits_mlp", "--samples", "9", "--vcd", "w.vcd", "--vcd-layer", "logits")
    waves += ("--set", "array.dataflow=output_stationary", "--vcd-folds", "3:4")
    assert hwsim(*waves, "--set", "mapping.batch=9").code == 0
    assert (here / "w.vcd").is_file()
    refused = hwsim(*waves, "--set", "mapping.batch=1")
    assert (refused.code, refused.err) == (
        2,
        "hwsim: waves of folds 3:4; allowed: FIRST:END inside 0:2\n",
    )


@needs_simulator
def test_the_rtl_computes_a_whole_batch(hwsim: Hwsim) -> None:
    """Ten outputs of each of three samples."""
    outcome = hwsim("check", "edge16", "digits_cnn", "--rtl", "--layer", "logits", "--set", "mapping.batch=3", "--json")
    assert outcome.code == 0
    assert outcome.json["layers"]["logits"]["values"] == 30
