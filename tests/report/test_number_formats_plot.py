"""Sweeps over number formats: what their tables leave empty, and how they are drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hwsim.config.load import load_sweep
from hwsim.report.design import DesignSpace
from hwsim.report.frames import SweepFrames
from hwsim.report.plots import write_plots
from hwsim.sweep.runner import run_sweep

FORMATS = """\
schema_version: 1
name: formats
architecture: edge16
workloads: [digits_mlp]
samples: 30
axes:
  - array.number_format: [integer, fp16, fp8_e4m3]
"""
WITH_INTEGERS = FORMATS + "  - array.guard_bits: [-3, 8]\n"


def swept(folder: Path, text: str) -> SweepFrames:
    path = folder / "sweep.yaml"
    path.write_text(text)
    run_sweep(load_sweep(path), folder / "out", jobs=1)
    return SweepFrames.load(folder / "out")


@pytest.fixture(scope="module")
def formats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepFrames]:
    folder = tmp_path_factory.mktemp("formats")
    return folder / "out", swept(folder, FORMATS)


def test_columns_of_integers_are_empty_for_floats(formats: tuple[Path, SweepFrames]) -> None:
    written = pd.read_csv(formats[0] / "points.csv").set_index("array.number_format")
    integers = ["weight_bits", "activation_bits", "guard_bits", "overflow"]
    assert written.loc["integer", integers].tolist() == [8, 8, 8, "saturate"]
    assert written.loc[["fp16", "fp8_e4m3"], integers].isna().all(axis=None)
    assert written["rows"].tolist() == [16, 16, 16]


def test_points_differ_in_their_format_alone(formats: tuple[Path, SweepFrames]) -> None:
    space = DesignSpace.of(formats[1].done)
    assert (space.keys, space.bits) == (("array.number_format",), None)
    assert space.describe(space.points.iloc[1]) == "number format fp16"


def test_the_plot_shows_every_format(formats: tuple[Path, SweepFrames]) -> None:
    folder, frames = formats
    outcomes = {one.name: one for one in write_plots(folder)}
    data = pd.read_csv(outcomes["number_formats"].paths[-1])
    assert data["format"].tolist() == ["int8", "fp16", "fp8_e4m3"]
    for figure in ("accuracy", "sqnr_db", "energy_pj", "latency_ms"):
        assert data[figure].tolist() == pytest.approx(frames.done[figure].tolist())
    in_pes = frames.energy[frames.energy["component"] == "pe"].groupby("point")["energy_pj"].sum()
    assert data["pe_energy_pj"].tolist() == pytest.approx(in_pes.tolist())
    assert outcomes["accuracy_over_bits"].skipped_reason == "all points have one operand width"


def test_floats_have_no_guard_bits_to_plot_over(tmp_path: Path) -> None:
    swept(tmp_path, WITH_INTEGERS)
    outcomes = {one.name: one for one in write_plots(tmp_path / "out")}
    for name in ("accuracy_over_guard_bits", "overflow_over_guard_bits"):
        data = pd.read_csv(outcomes[name].paths[-1])
        assert data["guard_bits"].tolist() == [-3, 8]
    formats = pd.read_csv(outcomes["number_formats"].paths[-1])
    assert formats["format"].tolist() == ["int8", "fp16", "fp8_e4m3"]
    assert formats["point"].tolist() == [1, 2, 4]  # the most accurate of each


def test_a_sweep_of_floats_alone(tmp_path: Path) -> None:
    swept(tmp_path, FORMATS.replace("integer, ", ""))
    outcomes = {one.name: one for one in write_plots(tmp_path / "out")}
    assert outcomes["accuracy_over_bits"].skipped_reason == "no point computes with integers"
    assert outcomes["number_formats"].skipped_reason is None


def test_the_shipped_sweep_compares_all_formats() -> None:
    (axis,) = load_sweep("formats").spec.axes
    assert sorted(axis["array.number_format"]) == ["bf16", "fp16", "fp32", "fp8_e4m3", "fp8_e5m2", "integer"]
