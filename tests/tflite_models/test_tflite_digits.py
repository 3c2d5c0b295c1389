"""Whole `.tflite` files of the shipped digits networks: every tensor of 540 images equal to the interpreters'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from digits_files import digits_codes, digits_file

from hwsim.config.load import load_arch
from hwsim.numerics.tflite.profiles import PROFILES
from hwsim.oracles.ask import Case, ask
from hwsim.oracles.compare import compare_with_oracle
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import run

IMAGES = 540
ELEMENTS = {  # of one image: input, every layer's output
    "digits_mlp": 64 + 64 + 10,
    "digits_cnn": 64 + 512 + 128 + 256 + 64 + 64 + 64 + 32 + 10,
}
TENSORS = {"digits_mlp": 3, "digits_cnn": 9}


@pytest.fixture(params=ELEMENTS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.tflite"
    path.write_bytes(digits_file(request.param))
    return path


@pytest.mark.parametrize("oracle", PROFILES)
def test_every_element_of_every_tensor_is_the_interpreters(file: Path, oracle: str) -> None:
    spec = load_arch("edge16", [f"requantizer.rounding_profile={oracle}"])
    chosen = choose_samples(read_workload(file), inputs=digits_codes(file.stem)[0])
    found = compare_with_oracle(spec, file, chosen, oracle)
    assert (found.samples, found.not_compared) == (IMAGES, ())
    assert (found.tensors, found.elements) == (TENSORS[file.stem], IMAGES * ELEMENTS[file.stem])


@pytest.mark.parametrize("oracle", ["tflm", "litert_reference"])
def test_a_run_has_the_interpreters_accuracy(file: Path, oracle: str) -> None:
    codes, labels = digits_codes(file.stem)
    (answer,) = ask(oracle, [Case(file.read_bytes(), [codes[:, None]])])
    logits = answer.tensors[int(read_workload(file).network.output)].reshape(IMAGES, 10)
    profile = [f"requantizer.rounding_profile={oracle}"]
    result = run("edge16", file, inputs=codes, labels=labels, engine="functional", overrides=profile)
    assert result.accuracy == np.mean(logits.argmax(axis=1) == labels)
    assert result.accuracy >= 0.97
    assert result.totals["overflow_events"] == 0
