"""Whole networks on several cores: the values of one core, other cycles and traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shared_files import shared

from hwsim.cli.run_text import array_text
from hwsim.config import load_sweep
from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload
from hwsim.report.frames import SweepFrames
from hwsim.results.run_result import RunResult
from hwsim.simulate import run
from hwsim.sweep.runner import run_sweep


def on(cores: int, workload: str, *overrides: str, **keys: Any) -> RunResult:
    return run("edge16", workload, overrides=[f"cores={cores}", *overrides], **keys)


@pytest.mark.parametrize("split", ["auto", "out_rows", "out_cols"])
@pytest.mark.parametrize("workload", ["digits_cnn", "digits_lstm"])
def test_stepped_cores_compute_what_one_computes(workload: str, split: str) -> None:
    """A stepped run compares every layer's output with the array's shadow; logits are those of one core."""
    settings = ("array.guard_bits=-2", "array.rows=4", "array.cols=4")
    alone = on(1, workload, *settings, samples=2)
    shared_out = on(3, workload, f"mapping.split={split}", *settings, samples=2)
    for name in ("accuracy", "sqnr_db", "samples"):
        assert getattr(shared_out, name) == getattr(alone, name)
    assert shared_out.totals["overflow_events"] == alone.totals["overflow_events"] > 0
    assert shared_out.totals["macs"] == alone.totals["macs"]


def multiplies(result: RunResult) -> int:
    energy = result.energy
    return int(energy[(energy["component"] == "pe") & (energy["action"] == "multiply")]["count"].sum())


def dram_bits(result: RunResult) -> int:
    return int(result.energy[result.energy["component"] == "dram"]["count"].sum())


def test_macs_stay_and_traffic_grows() -> None:
    """Rows shared by four cores: each brings the weights for itself, and what one core kept passes the DRAM."""
    alone, four = (on(cores, "digits_cnn", "mapping.split=out_rows", samples=1) for cores in (1, 4))
    assert multiplies(four) == multiplies(alone) == alone.totals["macs"]
    assert dram_bits(four) > dram_bits(alone)


def test_utilization_is_of_all_cores_pes() -> None:
    four = on(4, "digits_cnn", samples=1)
    totals = four.totals
    assert totals["utilization"] == totals["macs"] / (4 * 16 * 16 * totals["total_cycles"])
    one = four.layer_results[0]
    assert one.utilization == one.macs / (4 * 16 * 16 * one.total_cycles)
    assert array_text(four.architecture).startswith("4 cores of 16 × 16 output_stationary, ")


def test_a_batch_is_shared_out_too() -> None:
    """The rows of four samples; the stepped run is held against the shadow."""
    alone, two = (on(cores, "digits_cnn", "mapping.batch=4", samples=4) for cores in (1, 2))
    assert (two.accuracy, two.totals["macs"]) == (alone.accuracy, alone.totals["macs"])


@pytest.mark.parametrize("workload", ["digits_cnn", "digits_lstm", "digits_transformer"])
@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_cores_share_the_samples_of_a_batch(workload: str, engine: str) -> None:
    """Five samples on three cores, then a batch of two: values and overflows are those of samples by themselves."""
    alone, three = (
        on(cores, workload, *keys, "array.guard_bits=-2", samples=7, engine=engine)
        for cores, keys in ((1, ()), (3, ("mapping.batch=5", "mapping.split=samples")))
    )
    for name in ("accuracy", "sqnr_db", "samples"):
        assert getattr(three, name) == getattr(alone, name)
    for name in ("macs", "overflow_events"):
        assert three.totals[name] == alone.totals[name] > 0


def test_cores_share_samples_of_floats() -> None:
    settings = ("array.number_format=fp8_e4m3", "array.accumulator_format=fp16", "mapping.batch=5")
    alone, two = (
        on(cores, "digits_cnn", *settings, *more, samples=7)
        for cores, more in ((1, ()), (2, ("mapping.split=samples",)))
    )
    assert (two.accuracy, two.sqnr_db) == (alone.accuracy, alone.sqnr_db)
    assert two.totals["overflow_events"] == alone.totals["overflow_events"]
    assert multiplies(two) == multiplies(alone)


def test_a_batch_and_cores_gain_more_by_samples_than_by_columns() -> None:
    """Pools stay with their convolutions, and every core's rows are those of four samples."""
    samples, columns = (
        on(4, "digits_cnn", "mapping.batch=16", f"mapping.split={split}", samples=16, engine="functional")
        for split in ("samples", "out_cols")
    )
    assert samples.totals["total_cycles"] < columns.totals["total_cycles"]
    assert [layer.layer for layer in samples.layer_results] == ["conv1", "conv2", "conv3", "fc1", "logits"]


def test_weights_come_ahead_on_every_core() -> None:
    without, ahead = (
        on(2, "digits_lstm", "mapping.split=out_cols", f"mapping.layer_overlap={overlap}", samples=1)
        for overlap in ("none", "weights")
    )
    assert ahead.totals["total_cycles"] < without.totals["total_cycles"]
    assert multiplies(ahead) == multiplies(without)


@pytest.mark.parametrize("cores", [2, 4])
def test_a_tflite_file_takes_fewer_cycles_on_several_cores(cores: int) -> None:
    """The codes that cores assemble, layer by layer, are held against those of the array's shadow in the run."""
    model = str(shared("models", "micro_speech_quantized.tflite"))
    codes = random_inputs(read_workload(model).network, 1, seed=0)
    several, alone = (on(count, model, inputs=codes, engine="stepped") for count in (cores, 1))
    assert several.totals["total_cycles"] < alone.totals["total_cycles"]
    assert multiplies(several) == multiplies(alone)


def test_cores_are_swept_like_any_key(tmp_path: Path) -> None:
    sweep = tmp_path / "cores.yaml"
    sweep.write_text(
        "schema_version: 1\nname: cores\narchitecture: edge16\nworkloads: [digits_cnn]\nsamples: 1\n"
        "axes:\n  - {cores: [1, 2]}\n"
    )
    run_sweep(load_sweep(sweep), tmp_path / "out", jobs=1)
    frames = SweepFrames.load(tmp_path / "out")
    assert list(frames.points["cores"]) == [1, 2]
    assert list(frames.points["status"]) == ["ok", "ok"]
    assert list(frames.pes.values()) == [256, 512]
