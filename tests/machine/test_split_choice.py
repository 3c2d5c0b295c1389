"""What ``split: auto`` chooses, held against every way of sharing that it chose from, on the machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_machines import random_machine, random_step
from shapes_alone import plan_steps

from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.machine.machine import run_machine
from hwsim.network.batch import batched
from hwsim.network.steps import MatmulStep
from hwsim.readers.read import read_workload

SPLITS = ("none", "samples", "out_rows", "out_cols", "groups")


def cycles(spec: ArchSpec, step: MatmulStep, inputs: int) -> int:
    return sum(one.total_cycles for one in run_machine(plan_steps(spec, [step], x=inputs), spec))


def random_case(seed: int) -> tuple[dict[str, Any], MatmulStep, int]:
    """Draw a layer, often of several samples, and how many cores there are."""
    random = np.random.default_rng(seed)
    step, inputs = random_step(random)
    batch = int(random.integers(2, 9)) if random.random() < 0.4 else 1
    (together,) = batched([step], {"x": inputs}, batch)
    assert isinstance(together, MatmulStep)
    return {"cores": int(random.integers(2, 5)), "mapping.objective": "time"}, together, inputs * batch


def all_splits(seed: int) -> dict[str, int]:
    """Return the cycles of every split, and of auto; nothing where the layer does not fit."""
    keys, step, inputs = random_case(seed)
    found = {}
    for split in ("auto", *SPLITS):
        spec = random_machine(np.random.default_rng(seed + 1), keys | {"mapping.layers.layer.split": split})
        try:
            found[split] = cycles(spec, step, inputs)
        except ConfigError:
            continue
    return found


def test_auto_is_hardly_ever_slower_than_one_core_and_near_the_best() -> None:
    """Random layers on machines from far too small to generous: bandwidths, latencies, lanes, rows, channels."""
    found = [one for one in map(all_splits, range(0, 60, 2)) if "auto" in one and "none" in one]
    assert len(found) > 20
    against_one = np.array([one["auto"] / one["none"] for one in found])
    against_best = np.array([one["auto"] / min(one.values()) for one in found])
    assert np.mean(against_one > 1.01) <= 0.05
    assert against_one.max() <= 1.1
    assert np.median(against_best) == 1
    assert against_best.mean() <= 1.06
    assert against_one.min() < 0.7


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("cores", [2, 4])
def test_the_classifier_of_digits_stays_on_one_core_where_that_is_faster(cores: int, batch: int) -> None:
    """fc1's weights are what takes long: two cores bring no byte of them sooner."""

    def fc1(split: str) -> tuple[int, int]:
        spec = load_arch("edge16", [f"cores={cores}", f"mapping.batch={batch}", f"mapping.layers.fc1.split={split}"])
        layers = compile_workload(spec, read_workload("digits_cnn")).layers
        (one,) = [one for one in run_machine(layers, spec) if one.plan.name == "fc1"]
        return one.total_cycles, len(one.plan.products)

    (auto, _), (alone, one_core) = fc1("auto"), fc1("none")
    assert one_core == 1
    assert auto <= 1.01 * alone


@pytest.mark.parametrize(("workload", "most"), [("digits_mlp", 1.01), ("digits_cnn", 0.6), ("digits_lstm", 0.7)])
def test_no_network_of_digits_is_slower_on_several_cores(workload: str, most: float) -> None:
    """Alone on one core, or by samples: nothing that layers pass on goes through DRAM; four cores share sixteen."""
    read = read_workload(workload)

    def total(cores: int, batch: int) -> int:
        spec = load_arch("edge16", [f"cores={cores}", f"mapping.batch={batch}"])
        return sum(one.total_cycles for one in run_machine(compile_workload(spec, read).layers, spec))

    for batch in (1, 16):
        alone = total(1, batch)
        assert max(total(2, batch), total(4, batch)) <= 1.01 * alone
    assert total(4, 16) < most * alone
