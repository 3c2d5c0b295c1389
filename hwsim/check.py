"""Holds the two engines against each other on a whole network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.array.gemm import EngineName
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.errors import CheckFailedError
from hwsim.machine.machine import LayerRun, run_machine
from hwsim.numerics.formats import IntArray
from hwsim.samples import Samples
from hwsim.simulate import sample_data, together


@dataclass(frozen=True, slots=True)
class EngineAgreement:
    """What was compared and found equal, with the array's actions: layers, cycles, output codes, overflow events."""

    layers: int
    cycles: int
    outputs: int
    overflow_events: int


def compare_engines(spec: ArchSpec, chosen: Samples) -> EngineAgreement:
    """Run the first batch on the machine with both engines and compare every layer.

    Raises:
        ConfigError: there are fewer samples than a batch has.
        CheckFailedError: naming the first layer, and in it the first output, PE or event, that differs.
    """
    compiled = compile_workload(spec, chosen.workload)
    chosen.check_batch(compiled.batch)
    codes = together(compiled.codes(chosen.part(slice(compiled.batch)).inputs), compiled.batch)
    stepped, functional = (_run(compiled, spec, codes, name) for name in ("stepped", "functional"))
    for one, other in zip(stepped, functional, strict=True):
        _compare(one, other)
    return EngineAgreement(
        layers=len(stepped),
        cycles=sum(one.total_cycles for one in stepped),
        outputs=sum(one.output.size for one in stepped if one.output is not None),
        overflow_events=sum(int(one.per_pe.sum()) for one in stepped if one.per_pe is not None),
    )


def _run(compiled: Compiled, spec: ArchSpec, codes: Mapping[str, IntArray], engine: EngineName) -> list[LayerRun]:
    return run_machine(compiled.layers, spec, sample_data(codes, engine))


def _compare(stepped: LayerRun, functional: LayerRun) -> None:
    layer = stepped.plan.name
    pairs = (
        ("output element", stepped.output, functional.output),
        ("overflow count of PE", stepped.per_pe, functional.per_pe),
        ("overflow event", stepped.events, functional.events),
        ("total cycles", np.array(stepped.total_cycles), np.array(functional.total_cycles)),
    )
    for what, one, other in pairs:
        if one is None or other is None:
            continue
        if one.shape != other.shape:
            raise CheckFailedError(f"layer {layer}: {len(one)} {what}s stepped, {len(other)} functional")
        differing = np.argwhere(one != other)
        if len(differing):
            place = tuple(int(part) for part in differing[0])
            where = f" {list(place)}" if place else ""
            raise CheckFailedError(f"layer {layer}: {what}{where} is {one[place]} stepped, {other[place]} functional")
    _compare_counts(stepped, functional)


def _compare_counts(stepped: LayerRun, functional: LayerRun) -> None:
    one, other = stepped.array_counts or Counts(), functional.array_counts or Counts()
    for key in sorted(one | other):
        if one[key] != other[key]:
            action = " ".join(key)
            raise CheckFailedError(
                f"layer {stepped.plan.name}: count of {action} is {one[key]} stepped, {other[key]} functional"
            )
