"""``hwsim check --against``: a file's tensors held against an interpreter's.

The file has one layer of weights [[1, 2, 3], [4, 5, 6]]: tensor 0 holds 3 codes, tensor 3 the 2 results.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Hwsim

from hwsim.oracles import ask, compare

BUILDERS = Path(__file__).parent.parent / "readers"


@pytest.fixture
def model(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(BUILDERS))
    from tflite_files import dense_file

    (here / "dense.tflite").write_bytes(dense_file())
    return "dense.tflite"


@pytest.mark.parametrize("oracle", ["tflm", "litert_reference", "litert_optimized", "xnnpack"])
def test_no_difference_on_random_samples(hwsim: Hwsim, model: str, oracle: str) -> None:
    outcome = hwsim("check", "edge16", model, "--against", oracle, "--seed", "7")
    assert (outcome.code, outcome.err) == (0, "")
    assert "0 differences on 10 random samples (seed 7): 2 tensors, 50 elements" in outcome.out
    assert outcome.out.count(oracle) == 1


def test_no_difference_on_the_users_samples(hwsim: Hwsim, model: str, here: Path) -> None:
    np.save(here / "x.npy", np.array([[13, -7, 3], [127, -128, 0], [1, 2, 3]], np.int8))
    outcome = hwsim("check", "edge16", model, "--against", "tflm", "--inputs", "x.npy", "--samples", "2", "--json")
    assert outcome.code == 0
    assert outcome.json["against"] == {
        "oracle": "tflm",
        "samples": 2,
        "tensors": 2,
        "elements": 10,
        "not_compared": [],
        "seed": None,
        "differences": 0,
    }
    assert outcome.json["architecture"]["requantizer"]["rounding_profile"] == "tflm"


def test_the_first_difference_is_named(hwsim: Hwsim, model: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.125 (1 (13 - 3) + 2 (-7 - 3) + 100) = 11.25 → 11 - 2 and -14 - 2; the second is made wrong by 4."""
    right = compare.integer_tensors

    def wrong(*args: Any) -> dict[str, np.ndarray]:
        tensors = right(*args)
        tensors["3"][-1, 1] += 4
        return tensors

    monkeypatch.setattr(compare, "integer_tensors", wrong)
    np.save(here / "x.npy", np.array([[0, 0, 0], [13, -7, 3]], np.int8))
    outcome = hwsim("check", "edge16", model, "--against", "tflm", "--inputs", "x.npy")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == (
        "hwsim: tensor 3 'tensor3': element [1] of sample 1 is -12 here, -16 in tflm; 1 of 4 elements differ\n"
    )


def test_samples_are_compared_in_parts_and_counted_through(
    hwsim: Hwsim, model: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "CHUNK_ELEMENTS", 10)  # two samples of 5 elements
    asked = []
    monkeypatch.setattr(compare, "ask", lambda oracle, cases: asked.append(cases) or ask.ask(oracle, cases))
    outcome = hwsim("check", "edge16", model, "--against", "tflm", "--samples", "5")
    assert [len(case.inputs[0]) for (case,) in asked] == [2, 2, 1]
    assert "0 differences on 5 random samples (seed 0): 2 tensors, 25 elements" in outcome.out


def without(tensor: int) -> Callable[[str, list[ask.Case]], list[ask.Answer]]:
    """Return an oracle that does not show a tensor."""

    def asked(oracle: str, cases: list[ask.Case]) -> list[ask.Answer]:
        (answer,) = ask.ask(oracle, cases)
        return [ask.Answer({number: values for number, values in answer.tensors.items() if number != tensor})]

    return asked


def test_a_tensor_that_the_oracle_hides_is_listed(hwsim: Hwsim, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "ask", without(0))
    outcome = hwsim("check", "edge16", model, "--against", "xnnpack")
    assert outcome.code == 0
    assert "1 tensor, 20 elements; not shown by xnnpack: 0 'tensor0'\n" in outcome.out


def test_an_oracle_that_hides_the_output_proves_nothing(
    hwsim: Hwsim, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "ask", without(3))
    outcome = hwsim("check", "edge16", model, "--against", "xnnpack")
    assert (outcome.code, outcome.err) == (
        2,
        "hwsim: dense.tflite: xnnpack does not show the outputs 3 'tensor3': nothing is proved\n",
    )


@pytest.mark.parametrize(
    ("oracle", "package"),
    [("tflm", "tflite-micro"), ("xnnpack", "ai-edge-litert"), ("litert_reference", "ai-edge-litert")],
)
def test_an_oracle_that_is_not_installed_is_named(
    hwsim: Hwsim, model: str, oracle: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = package.replace("-", "_")
    monkeypatch.setattr(ask, "find_spec", lambda name: None if name == module else find_spec(name))
    outcome = hwsim("check", "edge16", model, "--against", oracle)
    assert (outcome.code, outcome.out) == (2, "")
    assert (
        outcome.err == f"hwsim: {oracle} needs the package {package}, which is not installed; `pip install {package}`\n"
    )


@pytest.mark.parametrize(
    ("last_words", "ending"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process died (SIGSEGV)"),
        ("print('heap is corrupt', file=sys.stderr); os._exit(3)", "its process died (exit code 3): heap is corrupt"),
        ("raise RuntimeError('Didn\\'t find op')", "RuntimeError: Didn't find op"),
    ],
)
def test_an_oracle_that_dies_or_refuses_is_an_error(
    hwsim: Hwsim, model: str, here: Path, last_words: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is one that does nothing but this."""
    (here / "others" / "tflite_micro").mkdir(parents=True)
    (here / "others" / "tflite_micro" / "__init__.py").write_text(f"import os, signal, sys\n{last_words}\n")
    monkeypatch.setenv("PYTHONPATH", str(here / "others"))
    outcome = hwsim("check", "edge16", model, "--against", "tflm")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"hwsim: dense.tflite: tflm cannot run it: {ending}\n"


def test_what_cannot_be_compared_is_refused(hwsim: Hwsim, model: str) -> None:
    for args, text in {
        (model, "--against", "tlfm"): "unknown oracle 'tlfm'; allowed: tflm, litert_reference, litert_optimized, "
        "xnnpack, onnxruntime; did you mean 'tflm'?",
        ("digits_mlp", "--against", "tflm"): "--against tflm with workload digits_mlp; allowed: a .tflite file",
        (model, "--against", "tflm", "--engines"): "--engines and --against; allowed: one after the other",
        (model, "--against", "tflm", "--samples", "0"): "0 samples; allowed: 1 or more",
        ("--against", "tflm"): "--against without WORKLOAD; allowed: both",
        (model, "--inputs", "x.npy"): "--inputs without --engines, --against or --rtl; allowed: both",
    }.items():
        outcome = hwsim("check", "edge16", *args)
        assert (outcome.code, outcome.out, outcome.err) == (2, "", f"hwsim: {text}\n")


def test_the_engines_are_compared_on_the_users_samples(hwsim: Hwsim, model: str, here: Path) -> None:
    np.save(here / "x.npy", np.array([[13, -7, 3], [127, -128, 0]], np.int8))
    outcome = hwsim("check", "edge16", model, "--engines", "--inputs", "x.npy", "--samples", "2")
    assert outcome.code == 0
    assert "stepped and functional agree on 2 samples: 1 layer" in outcome.out
    assert hwsim("check", "edge16", model, "--engines").err == (
        "hwsim: workload dense has no inputs of its own; allowed: give some (--inputs)\n"
    )
