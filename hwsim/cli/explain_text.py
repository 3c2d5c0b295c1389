"""A worked example as text: scales, constants, the sum add by add, the stages of the requantization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwsim.analysis.dot_product import Add
from hwsim.analysis.explanation import Accumulation, Explanation, Grid, Term
from hwsim.analysis.requantization import Number
from hwsim.cli.output import Column, print_facts, print_lines, print_table
from hwsim.cli.wording import counted

_LAST_ADDS = 1


def print_explanation(found: Explanation, *, first_terms: int) -> None:
    """Print everything in the order in which it is computed; of the adds the first, the last and every overflow."""
    print_lines(_headline(found), "")
    print_facts(_scales(found))
    print_lines("", f"the array: {_array(found.accumulation)}", "")
    _print_adds(found.accumulation, first_terms)
    print_facts(_array_facts(found.accumulation))
    print_lines("", "requantization", "")
    print_table([Column("stage", numeric=False), Column("value")], list(_stages(found)))
    print_facts(_results(found))


def _headline(found: Explanation) -> str:
    place = ", ".join(map(str, found.output))
    return (
        f"{found.layer} of {found.workload} on {found.architecture}, sample {found.sample}: "
        f"output [{place}], row {found.out_row} and channel {found.channel} of the product"
    )


def _scales(found: Explanation) -> Iterator[tuple[str, str]]:
    for letter, what, grid in (
        ("x", "input", found.input_grid),
        ("w", f"weight of channel {found.channel}", found.weight_grid),
        ("y", "output", found.output_grid),
    ):
        yield what, _grid(letter, grid)
    scale = "" if found.scale == 1.0 else f"{found.scale:g} "
    yield "multiplier", f"M = {scale}S_w S_x / S_y = {found.multiplier:.9g}"
    rescaling = found.requantized.rescaling
    if rescaling.constants:
        named = ", ".join(f"{name} = {_number(value)}" for name, value in rescaling.constants.items())
        error = rescaling.multiplier / found.multiplier - 1
        yield "", f"{rescaling.scheme}: {named}; that is {rescaling.multiplier:.9g}, off by {100 * error:.2g} %"


def _grid(letter: str, grid: Grid) -> str:
    sign = "signed" if grid.signed else "unsigned"
    place = f"{sign}, {grid.bits} bits; tensor {grid.tensor}"
    return f"S_{letter} = {grid.scale:.9g}, Z_{letter} = {grid.zero_point} ({place})"


def _array(array: Accumulation) -> str:
    low, high = -(1 << (array.accumulator_bits - 1)), (1 << (array.accumulator_bits - 1)) - 1
    return (
        f"{counted(len(array.terms), 'term')}, {array.dataflow}, accumulator of {array.accumulator_bits} bits "
        f"({low:,} to {high:,}), {array.overflow}"
    )


def _print_adds(array: Accumulation, first: int) -> None:
    columns = [
        Column("k"),
        Column("input element", numeric=False),
        *map(Column, ("x", "w", "x w", "sum")),
        Column("", numeric=False),
    ]
    rows = [["", "", "", "", "starts from", f"{array.starts_from:,}", ""]]
    last_shown = -1
    for number, add in enumerate(array.adds):
        if not (number < first or number >= len(array.adds) - _LAST_ADDS or add.overflows):
            continue
        if number > last_shown + 1:
            rows.append(["…", f"{number - last_shown - 1:,} more", "", "", "", "…", ""])
        rows.append(_add_row(array.terms, add))
        last_shown = number
    print_table(columns, rows)


def _add_row(terms: Sequence[Term], add: Add) -> list[str]:
    note = f"overflows: exactly {add.exact:,}" if add.overflows else ""
    if add.term is None:
        return ["", "sum of a depth tile", "", "", f"{add.addend:,}", f"{add.stored:,}", note]
    term = terms[add.term]
    place = "padding" if term.place is None else f"[{', '.join(map(str, term.place))}]"
    return [str(add.term), place, str(term.activation), str(term.weight), f"{term.product:,}", f"{add.stored:,}", note]


def _array_facts(array: Accumulation) -> Iterator[tuple[str, str]]:
    reached = [add.exact for add in array.adds]
    yield "partial sums", f"{min(reached):,} to {max(reached):,}"
    yield "overflow", counted(array.overflow_events, "add") + " outside the accumulator"


def _stages(found: Explanation) -> Iterator[tuple[str, str]]:
    constants, requantized = found.constants, found.requantized
    yield "sum of the array", f"{found.accumulation.sum:,}"
    where = "" if found.bias == "requantizer" else " (in the sum already: preloaded)"
    x_zero, w_zero = found.input_grid.zero_point, found.weight_grid.zero_point
    yield f"bias on the S_w S_x grid{where}", f"{constants.bias:+,}"
    if found.zero_point == "folded":
        depth = len(found.accumulation.terms)
        terms = f"{_product(depth, w_zero, x_zero)} - {_product(x_zero, constants.weight_sum)}"
        yield f"depth Z_w Z_x - Z_x sum(w) = {terms}{where}", f"{constants.zero_point_constants:+,}"
    if constants.row_sum:
        yield f"-Z_w sum(x), Z_w = {w_zero}", f"{constants.row_sum:+,}"
    yield "sum on the S_w S_x grid", f"{requantized.sum:,}"
    for stage in requantized.rescaling.stages:
        yield stage.name, _number(stage.value)
    yield f"plus Z_y = {found.output_grid.zero_point}", f"{requantized.with_zero_point:,}"
    low, high = requantized.clamp
    yield f"clamped to {low} to {high}", f"{requantized.code:,}"


def _results(found: Explanation) -> Iterator[tuple[str, str]]:
    yield "code", f"{found.requantized.code}, equal to the network's run"
    yield "stands for", f"{found.real:.6g}; the sum before rescaling for {found.exact_real:.6g}"
    if found.float_value is not None:
        yield "in floating point", f"{found.float_value:.6g}; difference {found.real - found.float_value:.3g}"


def _product(*factors: int) -> str:
    """Return the factors with signs between them, negative ones in brackets."""
    return " × ".join(f"({factor})" if factor < 0 else str(factor) for factor in factors)


def _number(value: Number) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.9g}"
