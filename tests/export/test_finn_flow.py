"""FINN's own transformations on exported QONNX files: to thresholds, streamlined, as layers of its hardware.

The environment variable HWSIM_FINN_PYTHON names a Python 3.11 or newer that has FINN+ 1.6.1 (``pip install
finn-plus==1.6.1``; it pins other libraries than hwsim, so an environment of its own). The rest of FINN's flow
generates and synthesizes code, for which it needs Vivado.

FINN's thresholds round a half up: so scales of powers of two, where halves occur, are compared with hwsim's own shifts,
which round half up too. Inputs lie on their grid, as they come from a host; their quantization would round as well.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported

from hwsim.export.qonnx import qonnx_file
from hwsim.network.operator import quantization_of

SCRIPT = Path(__file__).with_name("finn_flow.py")
SAMPLES = 10
STAGES = ["file", "finn", "streamlined", "hardware", "narrowed"]
LAYERS = {"digits_mlp": ("hidden", "logits"), "digits_cnn": ("conv1", "conv2", "conv3", "fc1", "logits")}
HARDWARE = {
    "digits_mlp": {"ElementwiseMul", "MVAU", "Thresholding"},
    "digits_cnn": {"ConvolutionInputGenerator", "ElementwiseMul", "FMPadding", "MVAU", "Pool", "Thresholding"},
}
SCHEMES = {"free": "fixed_point", "power_of_two": "power_of_two"}
SYMMETRIC = "quantization.activations.symmetric=true"


def case(workload: str, bits: int, granularity: str, scale: str) -> Exported:
    """Symmetric codes, unsigned where layers read them, as FINN takes them; hwsim rounds half up."""
    return Exported(
        workload,
        bits,
        SAMPLES,
        [
            SYMMETRIC,
            f"quantization.weights.granularity={granularity}",
            *(f"quantization.{part}.scale={scale}" for part in ("weights", "activations")),
            *(f"quantization.layers.{layer}.activations.signed=false" for layer in LAYERS[workload]),
            "requantizer.rounding_profile=null",
            f"requantizer.scheme={SCHEMES[scale]}",
        ],
    )


CASES = {
    **{
        f"{workload}, shifts, {bits} bits": case(workload, bits, granularity, "power_of_two")
        for workload, bits, granularity in (
            ("digits_mlp", 8, "per_channel"),
            ("digits_mlp", 4, "per_tensor"),
            ("digits_mlp", 3, "per_channel"),
            ("digits_cnn", 4, "per_tensor"),
            ("digits_cnn", 3, "per_channel"),
        )
    },
    **{f"{workload}, free scales": case(workload, 4, "per_channel", "free") for workload in LAYERS},
    **{f"{workload}, real scales": case(workload, 4, "per_channel", "free") for workload in LAYERS},
    "zero points": Exported("digits_mlp", 8, 1),
    "signed": Exported("digits_mlp", 8, 1, [SYMMETRIC]),
}


def on_the_grid(exported: Exported) -> np.ndarray:
    grid = quantization_of(exported.network.tensors[exported.network.input])
    codes = grid.quantize(exported.inputs) - grid.zero_point
    return np.asarray(codes * grid.scale, np.float32)


def write(name: str, folder: Path) -> Path:
    exported = CASES[name]
    folder.mkdir()
    content = qonnx_file(exported.network, exported.options, real_scales=name.endswith("real scales"))
    (folder / "model.onnx").write_bytes(content)
    np.save(folder / "inputs.npy", on_the_grid(exported))
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What FINN's stages hold and compute, of each case."""
    python = os.environ.get("HWSIM_FINN_PYTHON")
    if not python:
        pytest.skip("HWSIM_FINN_PYTHON names no Python that has FINN")
    if subprocess.run([python, "-c", "import finn.transformation, torch"], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} cannot import finn and torch")
    top = tmp_path_factory.mktemp("finn")
    folders = {name: write(name, top / name) for name in CASES}
    done = subprocess.run(
        [python, str(SCRIPT), *folders.values()], cwd=top, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name: json.loads((folder / "found.json").read_text("utf-8")) for name, folder in folders.items()}


def differences(exported: Exported, outputs: list[list[float]]) -> int:
    name = exported.network.output
    grid = quantization_of(exported.network.tensors[name])
    codes = np.rint(np.asarray(outputs) / grid.scale + grid.zero_point)
    return int(np.count_nonzero(codes != exported.codes[name]))


@pytest.mark.parametrize("name", [name for name in CASES if "shifts" in name])
def test_every_stage_computes_the_codes_of_half_up_shifts(found: dict[str, dict[str, Any]], name: str) -> None:
    stages = found[name]
    assert list(stages) == STAGES
    wrong = {stage: differences(CASES[name], stages[stage]["outputs"]) for stage in STAGES[1:]}
    assert wrong == dict.fromkeys(STAGES[1:], 0)


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(" scales")])
def test_with_free_scales_every_stage_computes_the_codes_of_fixed_point(
    found: dict[str, dict[str, Any]], name: str
) -> None:
    stages = found[name]
    assert list(stages) == STAGES
    wrong = {stage: differences(CASES[name], stages[stage]["outputs"]) for stage in STAGES}
    assert wrong == dict.fromkeys(STAGES, 0)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("digits")])
def test_the_whole_network_becomes_layers_of_finns_hardware(found: dict[str, dict[str, Any]], name: str) -> None:
    assert set(found[name]["narrowed"]["kinds"]) == HARDWARE[CASES[name].workload]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("zero points", "Only Quant nodes with zero-point == 0 are currently supported."),
        ("signed", "FINN only supports unsigned and non-narrow Quant nodes for Relu activations."),
    ],
)
def test_what_finn_refuses_it_names(found: dict[str, dict[str, Any]], name: str, text: str) -> None:
    """Codes with a zero point, and signed ones behind a ReLU."""
    assert found[name]["refused"] == text
