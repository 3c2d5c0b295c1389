"""How fast a public residual network runs: ``pytest -m benchmark tests/benchmarks/test_tflite_speed.py -s``.

Beside LiteRT's reference kernels on one thread, in turns in the same process. The folder of outside files is named by
the environment variable HWSIM_SHARED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pytest

from hwsim.config.load import load_arch
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import simulate

pytestmark = pytest.mark.benchmark

PROFILE = ["requantizer.rounding_profile=litert_reference"]
TARGET_DATA_SET_SECONDS, TARGET_IMAGE_SECONDS = 60.0, 1.0


@dataclass
class Network:
    path: Path
    images: np.ndarray
    labels: np.ndarray


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "tflite_models"))
    from real_samples import images, model

    return Network(model("pretrainedResnet_quant"), *images(761))


def litert(network: Network) -> Callable[[np.ndarray], np.ndarray]:
    """Return what runs images through LiteRT's reference kernels and returns the scores."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(network.path), num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(images: np.ndarray) -> np.ndarray:
        scores = []
        for image in images:
            interpreter.set_tensor(source["index"], image[None])
            interpreter.invoke()
            scores.append(interpreter.get_tensor(result["index"])[0])
        return np.array(scores)

    return run


def seconds_in_turns(rounds: int, ours: Callable[[], object], theirs: Callable[[], object]) -> list[list[float]]:
    """Return the times of both, run in turns after one round that does not count."""
    times: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        for one, run in zip(times, (ours, theirs), strict=True):
            start = perf_counter()
            run()
            one.append(perf_counter() - start)
    return [one[1:] for one in times]


def report(what: str, times: Sequence[Sequence[float]]) -> float:
    """Print all times, both medians and their ratio; return hwsim's median."""
    ours, theirs = (median(one) for one in times)
    listed = ["  ".join(f"{seconds:.3g}" for seconds in one) for one in times]
    print(f"\n{what}: hwsim {ours:.3g} s ({listed[0]}), LiteRT {theirs:.3g} s ({listed[1]}), ratio {ours / theirs:.3g}")  # noqa: T201
    return ours


def test_a_data_set_with_overflow_counts_and_accuracy(network: Network) -> None:
    spec = load_arch("edge16", PROFILE)
    chosen = choose_samples(read_workload(network.path), inputs=network.images, labels=network.labels)
    run = litert(network)
    result = simulate(spec, chosen, engine="functional", with_data=False)
    assert result.accuracy == np.mean(run(network.images).argmax(axis=1) == network.labels)
    assert result.totals["overflow_events"] == 0
    times = seconds_in_turns(
        3, lambda: simulate(spec, chosen, engine="functional", with_data=False), lambda: run(network.images)
    )
    assert report("761 images, functional", times) < TARGET_DATA_SET_SECONDS


def test_a_data_set_on_an_accumulator_that_overflows(network: Network) -> None:
    """Two guard bits: most sums need checking, add by add."""
    spec = load_arch("edge16", [*PROFILE, "array.guard_bits=2"])
    chosen = choose_samples(read_workload(network.path), inputs=network.images, labels=network.labels)
    assert simulate(spec, chosen.part(slice(1)), engine="functional", with_data=False).totals["overflow_events"] > 0
    run = litert(network)
    times = seconds_in_turns(
        1, lambda: simulate(spec, chosen, engine="functional", with_data=False), lambda: run(network.images)
    )
    report("761 images, functional, 18-bit accumulators", times)


def test_one_image_on_the_machine_every_register_stepped(network: Network) -> None:
    spec = load_arch("edge16", PROFILE)
    chosen = choose_samples(read_workload(network.path), inputs=network.images[:1])
    run = litert(network)
    times = seconds_in_turns(
        9, lambda: simulate(spec, chosen, engine="stepped", with_data=True), lambda: run(network.images[:1])
    )
    assert report("one image, stepped", times) < TARGET_IMAGE_SECONDS
