"""``hwsim analyze guard-bits``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hwsim.analysis.guard_bits import LayerGuardBits, guard_bits
from hwsim.cli.inputs import read_samples, read_spec_and_workload
from hwsim.cli.output import Column, print_json, print_lines, print_table
from hwsim.cli.run_text import product_text
from hwsim.cli.wording import NOTHING, counted
from hwsim.config.arch import ArchSpec
from hwsim.samples import choose_samples

LEAST_GUARD_BITS = -4  # that an architecture may have


@dataclass(frozen=True, slots=True)
class GuardBitsRequest:
    """The arguments of ``hwsim analyze guard-bits``."""

    architecture: str
    workload: str
    inputs: Path | None
    calibration: Path | None
    samples: int | None
    overrides: tuple[str, ...]
    as_json: bool


def analyze_guard_bits(request: GuardBitsRequest) -> None:
    """Find every layer's range of partial sums and print the guard bits that it needs.

    Raises:
        HwsimError: as ``hwsim.run``.
    """
    spec, workload = read_spec_and_workload(
        request.architecture, request.overrides, request.workload, request.calibration
    )
    values, _ = read_samples(workload, request.inputs, None)
    chosen = choose_samples(workload, inputs=values, samples=request.samples)
    layers = guard_bits(spec, chosen)
    if request.as_json:
        print_json(
            {
                "architecture": spec.model_dump(mode="json"),
                "workload": workload.name,
                "samples": chosen.count,
                "layers": [asdict(layer) for layer in layers],
            }
        )
        return
    _print(spec, workload.name, chosen.count, layers)


def _print(spec: ArchSpec, workload: str, samples: int, layers: Sequence[LayerGuardBits]) -> None:
    array = spec.array
    print_lines(
        f"{workload} on {spec.name}, {counted(samples, 'sample')}: guard bits beside "
        f"{array.weight_bits} + {array.activation_bits} operand bits, {array.dataflow}",
        "",
    )
    columns = [
        Column("layer", numeric=False),
        Column("out_rows × depth × out_cols", numeric=False, optional=True),
        Column("least sum", optional=True),
        Column("greatest sum", optional=True),
        *map(Column, ("overflows from", "data need", "weights need", "depth needs")),
    ]
    print_table(columns, [_row(layer) for layer in layers], _most(layers))


def _row(layer: LayerGuardBits) -> list[str]:
    return [
        layer.layer,
        product_text(layer.out_rows, layer.depth, layer.out_cols, layer.groups),
        f"{layer.least_sum:,}",
        f"{layer.greatest_sum:,}",
        *_data_texts(layer.data_guard_bits),
        *(NOTHING if bits is None else str(bits) for bits in (layer.weight_guard_bits, layer.depth_guard_bits)),
    ]


def _data_texts(needed: int) -> list[str]:
    """Return from how many guard bits on sums overflow, and how many they need: never and any where the least do."""
    return ["never", "any"] if needed <= LEAST_GUARD_BITS else [str(needed - 1), str(needed)]


def _most(layers: Sequence[LayerGuardBits]) -> list[str]:
    """Return the row of the whole network: what its most demanding layers need."""
    data = max(layer.data_guard_bits for layer in layers)
    bounds = [
        [bits for bits in column if bits is not None]
        for column in (
            [layer.weight_guard_bits for layer in layers],
            [layer.depth_guard_bits for layer in layers],
        )
    ]
    return [
        "network",
        "",
        f"{min(layer.least_sum for layer in layers):,}",
        f"{max(layer.greatest_sum for layer in layers):,}",
        *_data_texts(data),
        *(str(max(column)) if column else NOTHING for column in bounds),
    ]
