"""What ``hwsim check`` found, as lines or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hwsim.accounting import accumulator_bits
from hwsim.check import EngineAgreement
from hwsim.cli.against import Against
from hwsim.cli.output import Column, print_facts, print_json, print_lines, print_table
from hwsim.cli.run_text import cores_text, product_text, sharing_column, sharing_text
from hwsim.cli.wording import NOTHING, counted, frequency
from hwsim.config.arch import ArchSpec
from hwsim.energy.actions import Actions
from hwsim.energy.table import EnergyTable
from hwsim.mapping.operands import OperandTiles
from hwsim.mapping.plan import LayerPlan
from hwsim.metrics.guard_bits import largest_safe_depth
from hwsim.readers.workload import Workload
from hwsim.results.time_steps import rows_of

MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class LayerFit:
    """A layer that fits: its plan, its cycles, and the accumulator bits that suffice for its weights."""

    plan: LayerPlan
    total_cycles: int
    accumulator_bits_needed: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that was found right; ``samples`` is how many inputs the engines agreed on."""

    spec: ArchSpec
    table: EnergyTable
    workload: Workload | None = None
    layers: Sequence[LayerFit] = ()
    samples: int = 0
    engines: EngineAgreement | None = None
    against: Against | None = None


def print_checked(checked: Checked) -> None:
    """Print one ``ok`` line for each thing, and a table of the layers."""
    print_facts((f"ok  {name}", text) for name, text in _facts(checked))
    if checked.layers:
        sharing = sharing_column(checked.spec.cores)
        print_lines("")
        print_table(
            [
                Column("layer", numeric=False),
                Column("out_rows × depth × out_cols", numeric=False, optional=True),
                *sharing,
                *map(Column, ("folds", "array cycles", "cycles", "accumulator bits that suffice")),
                Column("activations", numeric=False, optional=True),
                Column("weights", numeric=False, optional=True),
            ],
            _layer_rows(checked.layers, with_sharing=bool(sharing)),
        )
        if wide := _too_wide(checked):
            print_lines("", wide)


def _too_wide(checked: Checked) -> str:
    """Say which layers may overflow the accumulator, whatever their inputs; nothing if none does."""
    width = accumulator_bits(checked.spec)
    needed = {layer.plan.name: layer.accumulator_bits_needed or 0 for layer in checked.layers}
    wide = {name: bits for name, bits in needed.items() if bits > width}
    if not wide:
        return ""
    named = ", ".join(f"{name} ({bits})" for name, bits in list(wide.items())[:MOST_NAMES])
    more = f" and {len(wide) - MOST_NAMES} more" if len(wide) > MOST_NAMES else ""
    return (
        f"{counted(len(wide), 'layer')} may overflow the {width}-bit accumulator; bits that suffice for their weights: "
        f"{named}{more}; hwsim analyze guard-bits says what the samples need"
    )


def print_checked_json(checked: Checked) -> None:
    """Print the same as one object."""
    print_json(
        {
            "architecture": checked.spec.model_dump(mode="json"),
            "accumulator_bits": accumulator_bits(checked.spec),
            "energy_table": checked.table.name,
            "workload": checked.workload.name if checked.workload else None,
            "layers": [_layer_json(layer) for layer in checked.layers],
            "engines": asdict(checked.engines) | {"samples": checked.samples} if checked.engines else None,
            "against": checked.against.figures if checked.against else None,
        }
    )


def _facts(checked: Checked) -> Iterator[tuple[str, str]]:
    spec, array = checked.spec, checked.spec.array
    shape = f"{cores_text(spec.cores)}{array.rows} × {array.cols} {array.dataflow}"
    yield "array", f"{spec.name}: {shape} at {frequency(spec.clock_hz)}"
    yield "accumulator", _accumulator_text(spec)
    yield "energy table", _table_text(checked.table)
    if checked.workload:
        yield "workload", _workload_text(checked.workload)
        yield "scratchpads", f"all {counted(len(checked.layers), 'layer')} fit"
        if spec.mapping.batch > 1:
            yield "batch", f"{spec.mapping.batch} samples at a time: the layers below are a batch's"
    if checked.engines:
        yield "engines", _engines_text(checked.engines, checked.samples)
    if checked.against:
        yield checked.against.agreement.oracle, checked.against.text


def _accumulator_text(spec: ArchSpec) -> str:
    array, formats = spec.array, spec.array.float_formats
    if formats is not None:
        operand, accumulator = formats
        return f"{accumulator.name} sums of {operand.name} products; the largest is {accumulator.max:.6g}"
    safe = _safe_depth(spec)
    bound = f"sums of up to {safe:,} products always fit" if safe else "a single product may overflow"
    bits = f"{array.weight_bits} + {array.activation_bits} + {array.guard_bits} = {array.accumulator_bits} bits"
    return f"{bits}, {array.overflow}; {bound}"


def _safe_depth(spec: ArchSpec) -> int:
    """Return the largest safe depth; an operand that has its zero point subtracted is signed and a bit wider."""
    array, weights, activations = spec.array, spec.quantization.weights, spec.quantization.activations
    weights_offset = array.zero_point == "operand" and not weights.symmetric
    activations_offset = array.zero_point == "operand" and not activations.symmetric
    return largest_safe_depth(
        array.weight_bits + weights_offset,
        array.activation_bits + activations_offset,
        array.guard_bits - weights_offset - activations_offset,
        weights_signed=weights.signed or weights_offset,
        activations_signed=activations.signed or activations_offset,
    )


def _table_text(table: EnergyTable) -> str:
    missing = [action for action in Actions.model_fields if action not in table.known_actions()]
    return f"{table.name}, {table.node_nm:g} nm" + (f"; no entry for {', '.join(missing)}" if missing else "")


def _workload_text(workload: Workload) -> str:
    if not workload.network.has_values:
        return f"{workload.name}: {counted(len(workload.network.operators), 'operator')}, shapes alone"
    operators = f"{workload.name}: {counted(len(workload.network.operators), 'operator')}"
    if workload.inputs is None:
        return f"{operators}, no inputs of its own"
    labels = "no labels" if workload.labels is None else "with labels"
    return f"{operators}, {counted(len(workload.inputs), 'input')} {labels}"


def _engines_text(engines: EngineAgreement, samples: int) -> str:
    return (
        f"stepped and functional agree on {counted(samples, 'sample')}: {counted(engines.layers, 'layer')}, "
        f"{counted(engines.cycles, 'cycle')}, {counted(engines.outputs, 'output')}, "
        f"{counted(engines.overflow_events, 'overflow event')}"
    )


def _layer_rows(layers: Sequence[LayerFit], *, with_sharing: bool) -> list[list[str]]:
    together = rows_of([layer.plan.name for layer in layers], [_product_text(layer.plan) for layer in layers])
    members = [(one.label, [layers[place] for place in one.layers]) for one in together]
    return [[label, *_place_cells(ones, with_sharing=with_sharing), *_fit_cells(ones)] for label, ones in members]


def _place_cells(layers: Sequence[LayerFit], *, with_sharing: bool) -> list[str]:
    plans = [layer.plan for layer in layers]
    shared = [sharing_text((len(plan.shares), plan.split) for plan in plans)] if with_sharing else []
    return [_product_text(plans[0]), *shared]


def _product_text(plan: LayerPlan) -> str:
    if plan.step is None:
        return NOTHING
    shape = plan.step.shape
    return product_text(shape.out_rows, shape.depth, shape.out_cols, plan.step.groups)


def _fit_cells(layers: Sequence[LayerFit]) -> list[str]:
    """Return the figures of one layer, or of all time steps of one: sums, and the most bits that any of them needs."""
    total_cycles = f"{sum(layer.total_cycles for layer in layers):,}"
    products = [layer.plan for layer in layers if layer.plan.products]
    if not products:
        return ["0", "0", total_cycles, NOTHING, NOTHING, NOTHING]
    needed = [layer.accumulator_bits_needed for layer in layers if layer.accumulator_bits_needed is not None]
    return [
        f"{sum(product.fold_count for product in products):,}",
        f"{sum(product.array_cycles for product in products):,}",
        total_cycles,
        str(max(needed)) if needed else NOTHING,
        _residence(products[-1].products[0].activations),
        _residence(products[-1].products[0].weights),
    ]


def _residence(operand: OperandTiles) -> str:
    return {"stays": "stay", "on_chip": "on chip"}.get(operand.residency, operand.residency)


def _layer_json(layer: LayerFit) -> dict[str, Any]:
    figures: dict[str, Any] = {"layer": layer.plan.name, "total_cycles": layer.total_cycles}
    step = layer.plan.step
    if step is None:
        return figures
    product = layer.plan.products[0]
    return figures | {
        **asdict(step.shape),
        "groups": step.groups,
        "folds": layer.plan.fold_count,
        "array_cycles": layer.plan.array_cycles,
        "cores": len(layer.plan.products),
        "split": layer.plan.split,
        "accumulator_bits_needed": layer.accumulator_bits_needed,
        "activations": _residence(product.activations),
        "weights": _residence(product.weights),
    }
