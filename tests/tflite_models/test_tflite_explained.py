"""Every matrix product of a public int8 network as a worked example, in every profile."""

from __future__ import annotations

import numpy as np
import pytest
from shared_files import shared

from hwsim.analysis.explain import explain
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import UnsupportedError
from hwsim.network.steps import MatmulStep
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples


@pytest.mark.parametrize("profile", ["tflm", "litert_reference", "litert_optimized", "xnnpack"])
def test_keyword_spotting(profile: str) -> None:
    """Convolutions, depthwise convolutions and a fully connected layer; ``explain`` compares with the run."""
    spec = load_arch("edge16", ["array.guard_bits=16", f"requantizer.rounding_profile={profile}"])
    workload = read_workload(shared("models", "kws_ref_model.tflite"))
    network, random = workload.network, np.random.default_rng(5)
    codes = random.integers(-128, 128, (1, *network.sample_shape(network.input)), np.int8)
    chosen = choose_samples(workload, inputs=codes)
    steps = [step for step in compile_workload(spec, workload).steps if isinstance(step, MatmulStep)]
    assert len(steps) == 10
    for step in steps:
        place = int(random.integers(step.outputs))
        found = explain(spec, chosen, step.name, output=(place,))
        rescaling = found.requantized.rescaling
        if rescaling.constants:  # LiteRT's depthwise kernel has none of its own here
            assert rescaling.multiplier == pytest.approx(found.multiplier, rel=1e-6)


def test_sums_that_are_rescaled_at_run_time_are_refused() -> None:
    """A dynamic-range file: scales of activations are made from each sample, behind and before the array."""
    sizes = [f"scratchpads.{name}.capacity_bytes=1000000" for name in ("activations", "weights", "outputs")]
    spec = load_arch("edge16", [*sizes, "array.guard_bits=16", "requantizer.rounding_profile=litert_reference"])
    workload = read_workload(shared("models", "resnet8_dynamic_wi8_afp32.tflite"))
    images = np.random.default_rng(2).random((1, 32, 32, 3)).astype(np.float32)
    chosen = choose_samples(workload, inputs=images)
    with pytest.raises(UnsupportedError, match="layer conv_2d_0 keeps its sums as they are, without a requantization"):
        explain(spec, chosen, "conv_2d_0")
