"""Generated models of one operator, exported: the same codes in ONNX Runtime and in QONNX's executor."""

from __future__ import annotations

from pathlib import Path

from export.file_runs import FileRun
from random_graphs import random_graph

from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload

CASES = 60
SAMPLES = 3


def exported(folder: Path, seed: int) -> FileRun:
    path = folder / f"{seed}.tflite"
    path.write_bytes(random_graph(seed, always_bias=False).build())
    workload = read_workload(path)
    return FileRun(workload, random_inputs(workload.network, SAMPLES, seed))


def test_every_operator_as_qdq(tmp_path: Path) -> None:
    differences = {seed: exported(tmp_path, seed).in_onnx_runtime()[0] for seed in range(CASES)}
    assert {seed: wrong for seed, wrong in differences.items() if wrong} == {}


def test_every_operator_as_qonnx(tmp_path: Path) -> None:
    differences = {seed: exported(tmp_path, seed).in_qonnx()[0] for seed in range(CASES)}
    assert {seed: wrong for seed, wrong in differences.items() if wrong} == {}
