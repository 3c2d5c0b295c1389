"""The result of a run as a short table and a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hwsim.cli.output import Column, print_facts, print_lines, print_table
from hwsim.cli.wording import NOTHING, counted, energy, energy_unit, frequency, percent, significant
from hwsim.results.layer_result import CYCLE_PARTS, LayerResult
from hwsim.results.points import INTEGER
from hwsim.results.run_result import RunResult
from hwsim.results.time_steps import rows_of


def print_result(result: RunResult) -> None:
    """Print a run: what ran, one row per layer, totals."""
    print_lines(_headline(result), "")
    _print_layers(result)
    print_facts(_facts(result))


def print_written(paths: Sequence[Path]) -> None:
    """Print where files were written."""
    if paths:
        print_lines("", *(f"wrote {path}" for path in paths))


def product_text(out_rows: int, depth: int, out_cols: int, groups: int) -> str:
    """Return ``64 × 9 × 8``, with ``16 groups of`` in front where there are several."""
    if not groups:
        return NOTHING
    product = f"{out_rows} × {depth} × {out_cols}"
    return product if groups == 1 else f"{groups} of {product}"


def array_text(architecture: dict[str, Any]) -> str:
    """Return what the arrays are, in a few words."""
    array = architecture["array"]
    shape = f"{cores_text(architecture.get('cores', 1))}{array['rows']} × {array['cols']} {array['dataflow']}"
    if array.get("number_format", INTEGER) != INTEGER:
        operands, sums = array["number_format"], array["accumulator_format"] or "fp32"
        return f"{shape}, {operands} operands, {sums} accumulators"
    bits = array["weight_bits"] + array["activation_bits"] + array["guard_bits"]
    operands = f"{array['weight_bits']}×{array['activation_bits']}-bit operands"
    return f"{shape}, {operands}, {bits}-bit accumulators, {array['overflow']}"


def cores_text(cores: int) -> str:
    """Return what stands before the shape of an array: nothing for a single one."""
    return "" if cores == 1 else f"{cores} cores of "


def sharing_column(cores: int) -> list[Column]:
    """Return the column of ``sharing_text`` if the machine has several cores."""
    return [Column("cores", numeric=False, optional=True)] if cores > 1 else []


def sharing_text(shared: Iterable[tuple[int, str | None]]) -> str:
    """Return how many cores worked on layers and how they split them: ``2 × out_rows``, or each way there was."""
    ways = (str(cores) if split is None else f"{cores} × {split}" for cores, split in shared)
    return " or ".join(dict.fromkeys(ways))


def _headline(result: RunResult) -> str:
    ran = f"{result.workload} on {result.architecture['name']}"
    samples = counted(result.samples, "sample") if result.samples else "time, traffic and energy of shapes alone"
    if result.batch > 1:
        samples += f", {result.batch} at a time: layers and latency are a batch's"
    return f"{ran}, {samples}\n{array_text(result.architecture)}"


def _print_layers(result: RunResult) -> None:
    layers = result.layer_results
    picojoules, unit = energy_unit(layer.energy_pj for layer in layers)
    sharing = sharing_column(result.architecture.get("cores", 1))
    columns = [
        Column("layer", numeric=False),
        Column("out_rows × depth × out_cols", numeric=False, optional=True),
        *sharing,
        *map(Column, ("MACs", "cycles")),
        Column("utilization", optional=True),
        *map(Column, (f"energy {unit}", "overflow events" + ", all samples" * (result.batch > 1))),
    ]

    def row(name: str, product: str, shared: str, figures: dict[str, Any]) -> list[str]:
        return [
            name,
            product,
            *([shared] * len(sharing)),
            f"{figures['macs']:,}",
            f"{figures['total_cycles']:,}",
            percent(figures["utilization"]),
            significant(figures["energy_pj"] / picojoules),
            f"{figures['overflow_events']:,}" if result.samples else NOTHING,
        ]

    together = rows_of([layer.layer for layer in layers], [_product(layer) for layer in layers])
    members = [(one.label, [layers[place] for place in one.layers]) for one in together]
    rows = [row(label, _product(ones[0]), _sharing(ones), result.sums(ones)) for label, ones in members]
    whole = "total" if result.batch == 1 else f"total, batch of {result.batch}"
    print_table(columns, rows, row(whole, "", "", result.sums(layers)))


def _product(layer: LayerResult) -> str:
    return product_text(layer.out_rows, layer.depth, layer.out_cols, layer.groups)


def _sharing(layers: Sequence[LayerResult]) -> str:
    return sharing_text((layer.cores, layer.split) for layer in layers)


def _facts(result: RunResult) -> Iterator[tuple[str, str]]:
    totals = result.totals
    clock = frequency(result.architecture["clock_hz"])
    yield "latency", f"{significant(totals['latency_ms'])} ms: {totals['total_cycles']:,} cycles at {clock}"
    yield "", _cycle_parts(totals)
    yield "throughput", f"{significant(totals['inferences_per_second'])} inferences/s"
    per_mac = significant(totals["energy_per_mac_pj"])
    yield "energy", f"{energy(totals['energy_pj'])} per inference, {per_mac} pJ/MAC"
    if not result.samples:
        yield "values", "none: the workload has shapes alone, so accuracy and overflows are not known"
        return
    yield from quality_facts(result)
    yield "overflow", _overflows(result)


def quality_facts(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield accuracy and SQNR, beside the float network's."""
    if result.accuracy is None:
        yield "accuracy", "not known: no labels"
    else:
        in_float = "" if result.float_accuracy is None else f", in floating point {percent(result.float_accuracy)}"
        yield "accuracy", percent(result.accuracy) + in_float
    if result.sqnr_db is not None:
        yield "SQNR", f"{significant(result.sqnr_db)} dB, of the logits against floating point"


def _cycle_parts(totals: dict[str, Any]) -> str:
    """Return the classes of cycles, largest first."""
    parts = sorted(((totals[part], part) for part in CYCLE_PARTS if totals[part]), key=lambda part: -part[0])
    return ", ".join(
        f"{name.removesuffix('_cycles').replace('_', ' ')} {percent(cycles / totals['total_cycles'])}"
        for cycles, name in parts
    )


def _overflows(result: RunResult) -> str:
    totals = result.totals
    text = f"{counted(totals['overflow_events'], 'event')} in {counted(result.samples, 'sample')}"
    if totals["preload_overflow_events"]:
        text += f", {counted(totals['preload_overflow_events'], 'preloaded bias')} outside the accumulator"
    which, kept, left_out = "batch" if result.batch > 1 else "sample", len(result.events_kept), result.events_left_out
    if left_out:
        return f"{text}; listed one by one: {kept:,} of the first {which}'s, the next {left_out:,} are left out"
    if totals["overflow_events"] and result.samples > result.batch and _lists_events(result):
        return f"{text}; listed one by one: only the first {which}'s, {kept:,}"
    return text


def _lists_events(result: RunResult) -> bool:
    """Return whether single events are kept: an array of floats only counts them."""
    return bool(result.architecture["array"].get("number_format", INTEGER) == INTEGER)
