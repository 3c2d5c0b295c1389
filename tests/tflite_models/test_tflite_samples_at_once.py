"""Samples that run at once on the machine: each has the interpreters' codes, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from digits_files import digits_codes, digits_file

from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.machine.machine import run_machine
from hwsim.oracles.ask import Case, ask
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import sample_data, together

BATCH = 5


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary"])
@pytest.mark.parametrize("oracle", ["tflm", "litert_reference"])
def test_every_layer_of_a_stepped_batch_is_the_interpreters(oracle: str, dataflow: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(digits_file("digits_cnn"))
    spec = load_arch(
        "edge16",
        [f"requantizer.rounding_profile={oracle}", f"array.dataflow={dataflow}", f"mapping.batch={BATCH}"],
    )
    images = digits_codes("digits_cnn")[0][:BATCH]
    (answer,) = ask(oracle, [Case(path.read_bytes(), [images[:, None]])])
    workload = read_workload(path)
    compiled = compile_workload(spec, workload)
    codes = compiled.codes(choose_samples(workload, inputs=images).inputs)
    compared = 0
    for run in run_machine(compiled.layers, spec, sample_data(together(codes, BATCH), "stepped")):
        assert run.output is not None
        assert np.array_equal(run.output, answer.tensors[int(run.plan.output)].reshape(-1))
        compared += run.output.size
    assert compared == BATCH * (128 + 64 + 64 + 32 + 10)  # pooled, where a pool follows
