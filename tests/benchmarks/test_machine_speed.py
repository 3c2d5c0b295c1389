"""Speed of planning, of the event-driven machine, and of both together with energy, on ResNet-50 and MobileNetV2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import process_time

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

from shapes_alone import conv, dense, plan_steps
from small_networks import DATAFLOW_OVERLAPS, machine

from hwsim.accounting import energy_context
from hwsim.array.params import Dataflow
from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.energy.account import Account
from hwsim.energy.table import EnergyTable
from hwsim.machine.machine import run_machine
from hwsim.mapping.plan import LayerPlan
from hwsim.network.steps import MatmulStep
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload

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


def test_the_machine_event_by_event(benchmark) -> None:  # type: ignore[no-untyped-def]
    """What SimPy and the processes round the array take where nothing is skipped, as in a run with data."""
    arch = spec("output_stationary", "none")
    layers = plan(arch)
    folds = sum(product.fold_count for layer in layers for product in layer.products)
    benchmark.pedantic(run_machine, (layers, arch), {"fast_forward": False}, rounds=3, warmup_rounds=1)
    print(f"\n{folds / benchmark.stats.stats.min:,.0f} folds/s of {folds:,}")  # noqa: T201


def timed(arch: ArchSpec, workload: Workload | None) -> float:
    """Plan, run the machine and account for energy: ResNet-50's products, or a workload."""
    layers = plan(arch) if workload is None else compile_workload(arch, workload).layers
    account = Account(EnergyTable.load(arch.energy_table), energy_context(arch))
    return sum(entry.energy_pj for one in run_machine(layers, arch) for entry in account.entries(one.counts))


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2"])
def test_planning_timing_and_energy_take_less_than_two_cpu_seconds(benchmark, network: str, dataflow: str) -> None:  # type: ignore[no-untyped-def]
    """ResNet-50 on 32 x 32 PEs; MobileNetV2, whose depthwise layers are a product a channel, on edge16."""
    arch, workload = spec(dataflow, "none"), None
    if network == "mobilenet_v2":
        arch, workload = load_arch("edge16", [f"array.dataflow={dataflow}"]), read_workload(network)
    assert benchmark.pedantic(timed, (arch, workload), rounds=3, warmup_rounds=1) > 0
    assert benchmark.stats["min"] < 2
