"""Random layers and machines, for timing runs of shapes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from shapes_alone import conv, dense
from small_networks import DATAFLOW_OVERLAPS, machine

from hwsim.compilation import array_params
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.machine.machine import LayerRun
from hwsim.mapping.plan import LayerPlan
from hwsim.mapping.planner import NetworkSteps, plan_network
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.steps import MatmulStep, Step

SPLITS = ("auto", "auto", "out_rows", "out_cols")


@dataclass(frozen=True, eq=False)
class TwiceStep(ElementwiseStep):
    """x + x: a step of two inputs, which is a layer of its own."""

    def compute(self, *codes: np.ndarray) -> np.ndarray:
        return codes[0] + codes[1]

    @property
    def operations(self) -> int:
        return self.outputs

    @property
    def counts(self) -> Counts:
        return Counts({("vector_unit", "add"): self.outputs})


def random_step(random: np.random.Generator) -> tuple[MatmulStep, int]:
    """Draw a layer of up to a few hundred folds, and the number of its inputs."""
    if random.random() < 0.3:
        rows, depth, units = (int(random.integers(1, most)) for most in (30, 60, 80))
        return dense("layer", "x", depth, units, rows), rows * depth
    groups = int(random.choice([1, 1, 1, 2, 6, 24]))
    shape = (int(random.integers(3, 13)), int(random.integers(3, 13)), groups * int(random.integers(1, 9)))
    kernel = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    stride = (int(random.integers(1, 3)), int(random.integers(1, 3)))
    filters = groups * int(random.integers(1, 20))
    padding = str(random.choice(["same", "valid"]))
    step = conv("layer", "x", shape, filters, kernel=kernel, stride=stride, padding=padding, groups=groups)
    return step, int(np.prod(shape))


def random_chain(random: np.random.Generator) -> tuple[list[Step], int]:
    """Draw 2 to 4 products, perhaps with a step of the vector unit between, perhaps with weights in common."""
    rows, depth, units = (int(random.integers(1, most)) for most in (20, 30, 30))
    first, inputs = dense("layer", "x", depth, units, rows), rows * depth
    if random.random() < 0.5:
        shape = (int(random.integers(3, 7)), int(random.integers(3, 7)), int(random.integers(1, 5)))
        first, inputs = conv("layer", "x", shape, units, kernel=(2, 2)), int(np.prod(shape))
    steps: list[Step] = [first]
    for number in range(int(random.integers(1, 4))):
        before, elements = steps[-1].output, steps[-1].outputs
        if random.random() < 0.3:
            steps.append(TwiceStep(f"twice{number}", (before, before), f"twice{number}", steps[-1].output_shape))
            before = steps[-1].output
        rows = int(random.choice([rows for rows in (1, 2, 4, *steps[-1].output_shape) if elements % rows == 0]))
        units = int(random.integers(1, 40))
        if random.random() < 0.3:
            units = elements // rows
        steps.append(dense(f"fc{number}", before, elements // rows, units, rows))
        if units == elements // rows and random.random() < 0.8:
            (steps[-1],) = _with_common_weights(steps[-1:])
            again = dense(f"again{number}", f"fc{number}", units, units, rows)
            steps += _with_common_weights([again])
    return steps, inputs


def _with_common_weights(steps: Sequence[Step]) -> list[Step]:
    return [replace(one, weight_name=f"w{one.shape.depth}") for one in steps if isinstance(one, MatmulStep)]


def random_machine(random: np.random.Generator, more: Mapping[str, Any] = MappingProxyType({})) -> ArchSpec:
    """Draw one to four cores with memories from far too small to generous, from slow to fast."""
    dataflow, fold_overlap = DATAFLOW_OVERLAPS[int(random.integers(len(DATAFLOW_OVERLAPS)))]
    settings: dict[str, Any] = {
        "requantizer.lanes": int(random.integers(1, 20)),
        "requantizer.pipeline_cycles": int(random.integers(0, 8)),
        "dram.bytes_per_cycle": int(random.choice([1, 2, 3, 8, 64])),
        "dram.latency_cycles": int(random.choice([0, 7, 100])),
        "accumulator_buffer.capacity_bytes": int(random.choice([300, 3000, 65536])),
        "mapping.objective": str(random.choice(["time", "dram_traffic"])),
    }
    if random.random() < 0.3:
        settings |= {"dram.channels": int(random.choice([1, 2, 3])), "dram.burst_bytes": int(random.choice([1, 16]))}
        settings |= {"dram.row_bytes": 256, "dram.row_miss_cycles": 11}
    for name in ("activations", "weights", "outputs"):
        settings |= {f"scratchpads.{name}.{key}": value for key, value in random_scratchpad(random).items()}
    rows, cols = int(random.integers(2, 9)), int(random.integers(2, 9))
    array = {"rows": rows, "cols": cols, "dataflow": dataflow, "fold_overlap": fold_overlap}
    if random.random() < 0.7:
        settings |= {"cores": int(random.integers(2, 5)), "mapping.split": str(random.choice(SPLITS))}
    return machine(settings | dict(more), **array)


def random_scratchpad(random: np.random.Generator) -> dict[str, Any]:
    """Draw a scratchpad, often with a single port, of words and banks that fit its bandwidth."""
    bytes_per_cycle, capacity_bytes = int(random.choice([1, 3, 8, 32])), int(10 ** random.uniform(1.5, 4.5))
    word_bytes = random.choice([None, bytes_per_cycle, max(bytes_per_cycle // 4, 1)])
    banks = (1 if word_bytes is None else bytes_per_cycle // word_bytes) * int(random.choice([1, 2, 3]))
    unit = banks * (word_bytes or 1)
    return {
        "capacity_bytes": max(capacity_bytes // unit, 1) * unit,
        "bytes_per_cycle": bytes_per_cycle,
        "double_buffered": bool(random.random() < 0.7),
        "ports": int(random.choice([1, 1, 2])),
        "banks": banks,
        "word_bytes": word_bytes or "null",
    }


def plan_chain(spec: ArchSpec, steps: Sequence[Step], inputs: int) -> tuple[LayerPlan, ...]:
    """Plan steps of 8-bit tensors that begin with "x"; the last one's output is wanted."""
    bits = {"x": 8 * inputs} | {one.output: 8 * one.outputs for one in steps}
    params = {one.name: array_params(spec, one) for one in steps if isinstance(one, MatmulStep)}
    return plan_network(NetworkSteps(steps, params, bits, [steps[-1].output]), spec)


def facts(runs: Sequence[LayerRun]) -> list[tuple[object, ...]]:
    return [
        (one.start_cycle, one.total_cycles, one.cycles, dict(one.counts), one.dram_row_hits, one.dram_row_misses)
        for one in runs
    ]
