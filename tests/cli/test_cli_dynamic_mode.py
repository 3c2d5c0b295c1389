"""What has no meaning where ranges are found at run time is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_line import Hwsim

DYNAMIC = ("--set", "quantization.mode=dynamic")


def test_calibration_samples_are_refused(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "samples.npy", np.zeros((2, 64)))
    outcome = hwsim("run", "edge16", "digits_mlp", "--calibration", "samples.npy", *DYNAMIC)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "hwsim: --calibration samples.npy with quantization.mode dynamic, which finds ranges at run time; "
        "allowed: mode static\n"
    )


def test_errors_of_layers_are_refused(hwsim: Hwsim) -> None:
    outcome = hwsim("analyze", "error", "edge16", "digits_mlp", *DYNAMIC)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "hwsim: analyze error with quantization.mode dynamic: tensors between layers are reals there, with ranges of "
        "each sample's own; allowed: mode static\n"
    )
