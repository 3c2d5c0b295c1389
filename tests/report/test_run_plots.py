"""Plots of a single run: from a stored result, or a line that says why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import hwsim
from hwsim.errors import ConfigError
from hwsim.report.run_plots import write_run_plots
from hwsim.results.run_result import RunResult
from hwsim.results.tensor_error import TensorError


def stored(folder: Path, result: RunResult) -> Path:
    (folder / "result.json").write_text(json.dumps(result.to_json_dict()))
    return folder


def bare_result() -> RunResult:
    return RunResult.from_json_dict(json.loads(EMPTY))


EMPTY = json.dumps(
    {
        "version": "0",
        "architecture": {
            "name": "tiny",
            "clock_hz": 1.0,
            "array": {"rows": 1, "cols": 1},
            "dram": {"bytes_per_cycle": 1},
        },
        "workload": "digits",
        "engine": "functional",
        "samples": 1,
        "accuracy": None,
        "float_accuracy": None,
        "sqnr_db": None,
        "layers": [],
        "energy": [],
        "overflows": [],
        "events": [],
        "events_left_out": 0,
    }
)


def error(layer: str, sqnr_db: float | None, saturation_rate: float = 0.0) -> TensorError:
    return TensorError(
        layer=layer,
        tensor=layer,
        bits=8,
        elements=10,
        sqnr_db=sqnr_db,
        mean_error=0.0,
        worst_error=0.0,
        saturation_rate=saturation_rate,
        clipping_rate=0.2,
    )


def test_layers_without_noise_and_with_more_noise_than_signal(tmp_path: Path) -> None:
    result = replace(bare_result(), tensor_errors=(error("a", None), error("b", -3.0), error("c", 40.0)))
    png, svg, csv = write_run_plots(stored(tmp_path, result))[0].paths
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "exact" in svg.read_text()
    assert pd.read_csv(csv)["sqnr_db"].tolist()[1:] == [-3.0, 40.0]


def test_a_layer_of_infinities_is_not_called_exact(tmp_path: Path) -> None:
    result = replace(bare_result(), tensor_errors=(error("a", None, saturation_rate=1.0),))
    _, svg, _ = write_run_plots(stored(tmp_path, result))[0].paths
    assert "exact" not in svg.read_text()


def test_a_layer_that_is_all_exact(tmp_path: Path) -> None:
    drawn = write_run_plots(stored(tmp_path, replace(bare_result(), tensor_errors=(error("a", None),))))[0]
    assert len(drawn.paths) == 3


def test_a_result_without_errors(tmp_path: Path) -> None:
    with_errors = replace(bare_result(), tensor_errors=(error("a", 1.0),))
    drawn = write_run_plots(stored(tmp_path, with_errors))[0]
    skipped = write_run_plots(stored(tmp_path, bare_result()))[0]
    assert skipped.skipped_reason == "no errors per layer, as analyze error stores them"
    assert not any(path.exists() for path in drawn.paths)


def test_a_result_without_layers(tmp_path: Path) -> None:
    reasons = {one.name: one.skipped_reason for one in write_run_plots(stored(tmp_path, bare_result()))}
    assert reasons["latency_per_layer"] == reasons["energy_per_component"] == "the workload has no layers"


def test_latency_and_energy_of_each_layer_are_those_of_the_result(tmp_path: Path) -> None:
    result = hwsim.run("edge16", "digits_mlp", samples=1)
    drawn = {one.name: one for one in write_run_plots(stored(tmp_path, result))}
    latency = pd.read_csv(drawn["latency_per_layer"].paths[2])
    assert dict(zip(latency["layer"], latency["total_cycles"], strict=True)) == {
        layer.layer: layer.total_cycles for layer in result.layer_results
    }
    energy = pd.read_csv(drawn["energy_per_component"].paths[2]).groupby("layer")["energy_pj"].sum()
    assert energy.to_dict() == pytest.approx({layer.layer: layer.energy_pj for layer in result.layer_results})


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", EMPTY.replace("clock_hz", "clock")])
def test_a_file_that_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ConfigError, match=r"result\.json: is not the result of a run"):
        write_run_plots(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"result\.json: cannot be read: No such file"):
        write_run_plots(tmp_path)
