"""``hwsim analyze guard-bits`` as users see it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_line import Hwsim, mlp_samples


def test_a_table_of_layers_and_the_network(hwsim: Hwsim) -> None:
    outcome = hwsim("analyze", "guard-bits", "edge16", "digits_cnn", "--samples", "20")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "digits_cnn on edge16, 20 samples: guard bits beside 8 + 8 operand bits, output_stationary"
    assert [line.split()[0] for line in lines[3:] if line] == ["conv1", "conv2", "conv3", "fc1", "logits", "network"]


def test_json_has_every_figure(hwsim: Hwsim) -> None:
    found = hwsim("analyze", "guard-bits", "edge16", "digits_mlp", "--samples", "20", "--json").json
    assert (found["workload"], found["samples"]) == ("digits_mlp", 20)
    assert [layer["layer"] for layer in found["layers"]] == ["hidden", "logits"]
    assert set(found["layers"][0]) == {
        "layer",
        "out_rows",
        "depth",
        "out_cols",
        "groups",
        "least_sum",
        "greatest_sum",
        "data_guard_bits",
        "weight_guard_bits",
        "depth_guard_bits",
    }


def test_the_users_samples_count(hwsim: Hwsim, here: Path) -> None:
    np.save(here / "x.npy", mlp_samples(1)[0] * 0)
    found = hwsim("analyze", "guard-bits", "edge16", "digits_mlp", "--inputs", "x.npy", "--json").json
    assert found["samples"] == 1
    own = hwsim("analyze", "guard-bits", "edge16", "digits_mlp", "--samples", "50", "--json").json
    assert own["layers"][1]["greatest_sum"] > found["layers"][1]["greatest_sum"]


def test_a_preloaded_bias_has_no_bounds(hwsim: Hwsim) -> None:
    args = ("analyze", "guard-bits", "edge16", "digits_mlp", "--samples", "5", "--set", "requantizer.bias=preload")
    assert hwsim(*args).out.splitlines()[-2].split()[-2:] == ["-", "-"]
