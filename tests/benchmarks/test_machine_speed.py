"""Speed of planning, of the event-driven machine, and of both together with energy, on ResNet-50's 54 products."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

from shapes_alone import conv, dense, plan_steps
from small_networks import DATAFLOW_OVERLAPS, machine

from hwsim.accounting import energy_context
from hwsim.config.arch import ArchSpec
from hwsim.energy.account import Account
from hwsim.energy.table import EnergyTable
from hwsim.machine.machine import run_machine
from hwsim.mapping.plan import LayerPlan
from hwsim.network.steps import MatmulStep

pytestmark = pytest.mark.benchmark
STAGES = ((56, 3, 64), (28, 4, 128), (14, 6, 256), (7, 3, 512))  # output height, blocks, channels inside a block


def resnet50() -> Iterator[MatmulStep]:
    """Yield the convolutions and the classifier; pools and sums do not count here."""
    yield conv("conv1", "x", (224, 224, 3), 64, kernel=(7, 7), stride=(2, 2), padding="same")
    channels, source = 64, "pool"
    for stage, (size, blocks, inner) in enumerate(STAGES):
        for block in range(blocks):
            name, stride = f"s{stage}b{block}", 2 if stage and not block else 1
            before = size * stride
            yield conv(f"{name}a", source, (before, before, channels), inner)
            yield conv(
                f"{name}b", f"{name}a", (before, before, inner), inner,
                kernel=(3, 3), stride=(stride, stride), padding="same",
            )  # fmt: skip
            yield conv(f"{name}c", f"{name}b", (size, size, inner), 4 * inner)
            if not block:
                yield conv(f"{name}d", source, (before, before, channels), 4 * inner, stride=(stride, stride))
            channels, source = 4 * inner, f"{name}c"
    yield dense("fc", "mean", 2048, 1000)


@cache
def steps() -> tuple[MatmulStep, ...]:
    found = tuple(resnet50())
    assert len(found) == 54
    return found


def spec(dataflow: str, fold_overlap: str) -> ArchSpec:
    """A 32 x 32 array with scratchpads of 512 KiB, ports as wide as the array, 16 bytes of DRAM a cycle."""
    pads = {
        f"scratchpads.{name}.{key}": value
        for name in ("activations", "weights", "outputs")
        for key, value in (("capacity_bytes", 524_288), ("bytes_per_cycle", 32))
    }
    settings = pads | {"dram.bytes_per_cycle": 16}
    return machine(settings, rows=32, cols=32, dataflow=dataflow, fold_overlap=fold_overlap)


def plan(arch: ArchSpec) -> tuple[LayerPlan, ...]:
    return plan_steps(arch, steps(), x=224 * 224 * 3, pool=56 * 56 * 64, mean=2048)


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_planning(benchmark, dataflow: str, fold_overlap: str) -> None:  # type: ignore[no-untyped-def]
    layers = benchmark.pedantic(plan, (spec(dataflow, fold_overlap),), rounds=3, warmup_rounds=1)
    assert len(layers) == 54


@pytest.mark.parametrize(("dataflow", "fold_overlap"), DATAFLOW_OVERLAPS)
def test_the_event_driven_machine(benchmark, dataflow: str, fold_overlap: str) -> None:  # type: ignore[no-untyped-def]
    arch = spec(dataflow, fold_overlap)
    runs = benchmark.pedantic(run_machine, (plan(arch), arch), rounds=3, warmup_rounds=1)
    assert sum(one.total_cycles for one in runs) > 4_000_000


def everything(arch: ArchSpec) -> float:
    account = Account(EnergyTable.load(arch.energy_table), energy_context(arch))
    return sum(entry.energy_pj for one in run_machine(plan(arch), arch) for entry in account.entries(one.counts))


def test_planning_timing_and_energy_take_less_than_two_seconds(benchmark) -> None:  # type: ignore[no-untyped-def]
    arch = spec("output_stationary", "none")
    assert benchmark.pedantic(everything, (arch,), rounds=3, warmup_rounds=1) > 0
    assert benchmark.stats["min"] < 2
