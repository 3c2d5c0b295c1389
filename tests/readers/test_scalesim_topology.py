"""SCALE-Sim's topology files as they are: what is read, what is refused, and its cycles on every published layer."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from shared_files import shared

import hwsim
from hwsim.compilation import lowering_options
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.steps import MatmulStep
from hwsim.quantize.assumed import assume_quantization
from hwsim.readers.read import read_workload

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
PUBLISHED = ("alexnet", "mobilenet", "resnet18", "vit_s")
CONVENTIONS = [
    # SCALE-Sim leaves out the last drain and gives the last cycle's index, not a count
    ("output_stationary", "drain", 32 + 1),
    # its last cycle's index, and no add under the array
    ("weight_stationary", "none", 2),
    ("input_stationary", "none", 2),
]


def topology(folder: Path, text: str) -> Path:
    path = folder / "net.csv"
    path.write_text(text)
    return path


def products(path: Path) -> list[tuple[str, int, tuple[int, int, int]]]:
    """Return (layer, groups, (out_rows, depth, out_cols)) of each layer."""
    return [
        (step.name, step.groups, (step.shape.out_rows, step.shape.depth, step.shape.out_cols))
        for step in steps_of(path, machine())
    ]


def steps_of(path: Path, spec: ArchSpec) -> list[MatmulStep]:
    network = assume_quantization(read_workload(path).network, spec.quantization, weight_bits=8, activation_bits=8)
    steps = network.lower(replace(lowering_options(spec, "tflm"), has_values=False))
    return [step for step in steps if isinstance(step, MatmulStep)]


def machine(dataflow: str = "output_stationary", fold_overlap: str = "none") -> ArchSpec:
    """A 32 x 32 array with room for every operand."""
    roomy = [f"scratchpads.{name}.capacity_bytes=1073741824" for name in ("activations", "weights", "outputs")]
    array = {"rows": 32, "cols": 32, "dataflow": dataflow, "fold_overlap": fold_overlap}
    return load_arch("edge16", [*roomy, *(f"array.{key}={value}" for key, value in array.items())])


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read_workload(topology(folder, text))
    return [problem.removeprefix(f"{folder}/net.csv") for problem in refused.value.problems]


def published(name: str) -> tuple[Path, list[dict[str, str]]]:
    """Return a topology of SCALE-Sim v3.0.0's and the cycles per layer that it publishes for a 32 x 32 array."""
    with shared("reference", "scalesim", f"cycles_{name}_32x32.csv").open(newline="") as file:
        layers = list(csv.DictReader(file))
    suffix = "_gemm" if name == "vit_s" else ""
    return shared("reference", "scalesim", f"topology_{name}{suffix}.csv"), layers


@pytest.mark.parametrize(("dataflow", "fold_overlap", "left_out"), CONVENTIONS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_array_cycles_are_scale_sims(name: str, dataflow: str, fold_overlap: str, left_out: int) -> None:
    path, layers = published(name)
    result = hwsim.run(machine(dataflow, fold_overlap), path)
    assert result.layers["macs"].tolist() == [int(layer["macs"]) for layer in layers]
    found = result.layers["array_cycles"] - left_out
    assert found.tolist() == [int(layer[f"{dataflow}_cycles"]) for layer in layers]
    assert (result.layers["total_cycles"] >= result.layers["array_cycles"]).all()


def test_a_window_over_the_edge_counts_as_an_output(tmp_path: Path) -> None:
    """ceil((10 - 3 + 2) / 2) = 5 and ceil((9 - 2 + 2) / 2) = 5: the last windows down begin in row 8 of 10."""
    assert products(topology(tmp_path, f"{HEADER}conv, 10, 9, 3, 2, 4, 6, 2,\n")) == [("conv", 1, (25, 24, 6))]


def test_two_strides(tmp_path: Path) -> None:
    header = HEADER.replace("Strides", "Stride height, Stride width")
    assert products(topology(tmp_path, f"{header}conv, 9, 9, 3, 3, 1, 1, 2, 3,\n")) == [("conv", 1, (4 * 3, 9, 1))]


def test_dp_layers_run_channel_by_channel(tmp_path: Path) -> None:
    """As SCALE-Sim does: each channel by itself, with all filters."""
    assert products(topology(tmp_path, f"{HEADER}Conv2_DP, 10, 10, 3, 3, 8, 2, 1,\n")) == [("Conv2_DP", 8, (64, 9, 2))]


def test_products_are_out_rows_out_cols_depth(tmp_path: Path) -> None:
    assert products(topology(tmp_path, "Layer,M,N,K,\nfc, 5, 7, 11,\n")) == [("fc", 1, (5, 11, 7))]


@pytest.mark.parametrize(
    "line",
    [
        "a,8,8,3,3,2,4,1,",
        "a,8,8,3,3,2,4,1",
        "  a ,\t8, 8 ,3,3,2,4,1,,  ,",
        "a,8,8,3,3,2,4,1,1:1,",
        "\n,,\na,8,8,3,3,2,4,1,\r\n\n",
    ],
)
def test_commas_blanks_and_line_ends_make_no_difference(tmp_path: Path, line: str) -> None:
    assert products(topology(tmp_path, f"\ufeff{HEADER}{line}\n")) == [("a", 1, (36, 18, 4))]


def test_layers_of_one_name_are_numbered(tmp_path: Path) -> None:
    found = products(topology(tmp_path, "Layer,M,N,K,\nfc,1,2,3,\nfc,1,2,3,\n"))
    assert [name for name, *_ in found] == ["fc", "fc#2"]


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    text = f"{HEADER}a,8,8,3,3,2,x,1,\n\nb,8,8,3,3,2,\nc,8,2,3,3,2,0,1,\n,8,8,3,3,2,4,1,\nd,8,8,3,3,2,4,1,dense\n"
    assert problems(tmp_path, text) == [
        ":2: filters 'x'; allowed: a whole number from 1 to 1048576",
        ":4: 5 values; allowed: IFMAP height, IFMAP width, filter height, filter width, channels, filters, stride, "
        "and a ratio such as 1:1",
        ":5: filters '0'; allowed: a whole number from 1 to 1048576",
        ":5: filter width 3; allowed: up to the input's 2",
        ":6: a layer without a printable name",
        ":7: ratio 'dense'; allowed: N:M such as 1:1",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": no layers; allowed: a header and a line for each layer"),
        (HEADER, ": no layers; allowed: a header and a line for each layer"),
        (
            "a,8,8,3,3,2,4,1,\nb,8,8,3,3,2,4,1,\n",
            ":1: a layer where the header should be, and SCALE-Sim would leave it out",
        ),
        ("Layer,M,K,N,\nfc,1,2,3\n", ":1: columns M, K, N; allowed: M, N, K, in this order"),
    ],
)
def test_a_file_without_header_or_layers(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, text) == [problem]


def test_sparse_weights_are_unsupported(tmp_path: Path) -> None:
    path = topology(tmp_path, f"{HEADER}a,8,8,3,3,2,4,1,2:4\nb,8,8,3,3,2,4,1,1:1\n")
    with pytest.raises(UnsupportedError) as refused:
        read_workload(path)
    assert str(refused.value) == f"{path}:2: layer a: 2:4 sparse weights"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"net\.csv: no text in UTF-8: invalid start byte at byte 0"):
        read_workload(path)
    with pytest.raises(ConfigError, match=r"absent\.csv: cannot be read: No such file or directory"):
        read_workload(tmp_path / "absent.csv")
