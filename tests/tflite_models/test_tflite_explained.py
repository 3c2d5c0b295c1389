"""Every matrix product of a public int8 network as a worked example, in every profile."""

from __future__ import annotations

import numpy as np
import pytest
from shared_files import shared

from hwsim.analysis.explain import explain
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
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
