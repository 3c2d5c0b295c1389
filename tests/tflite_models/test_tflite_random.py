"""Generated models of one operator, from file to tensors, held against TensorFlow Lite's interpreters.

The environment variable HWSIM_TFLITE_CASES says how many; 500 take some minutes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from model_builder import Graph
from random_graphs import random_graph

from hwsim.config.load import load_arch
from hwsim.numerics.tflite.profiles import PROFILES
from hwsim.oracles.ask import Answer, Case, ask
from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors

CASES = int(os.environ.get("HWSIM_TFLITE_CASES", "40"))
SAMPLES = 3


def graphs(oracle: str) -> list[Graph]:
    return [random_graph(seed, always_bias=oracle != "tflm") for seed in range(CASES)]


@pytest.mark.parametrize("oracle", PROFILES)
def test_generated_operators(oracle: str, tmp_path: Path) -> None:
    models = graphs(oracle)
    workloads = [written(tmp_path / f"{seed}.tflite", graph) for seed, graph in enumerate(models)]
    samples = [random_inputs(workload.network, SAMPLES, seed) for seed, workload in enumerate(workloads)]
    cases = [Case(graph.build(), in_file(graph, drawn)) for graph, drawn in zip(models, samples, strict=True)]
    problems = []
    for seed, (workload, answer) in enumerate(zip(workloads, ask(oracle, cases), strict=True)):
        found = difference(workload, samples[seed], answer, oracle)
        if found:
            problems.append(f"model {seed} ({models[seed].operators[0].name}): {found}")
    assert not problems, "\n".join(problems)


def written(path: Path, graph: Graph) -> Workload:
    path.write_bytes(graph.build())
    return read_workload(path)


def in_file(graph: Graph, drawn: dict[str, np.ndarray]) -> list[np.ndarray]:
    tensors = [(str(number), graph.tensors[number]) for number in graph.inputs]
    return [drawn[name].reshape(-1, *tensor.shape).astype(tensor.dtype) for name, tensor in tensors]


def difference(workload: Workload, samples: dict[str, np.ndarray], answer: Answer, oracle: str) -> str:
    """Say what is wrong with one model, or nothing."""
    if answer.failure:
        return answer.failure
    spec = load_arch("edge16", [f"requantizer.rounding_profile={oracle}"])
    ours = integer_tensors(spec, choose_samples(workload, inputs=samples))
    assert set(workload.network.outputs) <= {str(number) for number in answer.tensors}
    for name, values in ours.items():
        if int(name) not in answer.tensors:
            continue
        theirs = answer.tensors[int(name)].reshape(values.shape)
        if np.any(values != theirs):
            place = tuple(int(part) for part in np.argwhere(values != theirs)[0])
            return f"tensor {name}{list(place)} is {values[place]}, {oracle} has {theirs[place]}"
    return ""
