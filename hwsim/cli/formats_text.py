"""``hwsim list formats``: what each number format can hold, and what computing in it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from hwsim.cli.output import Column, print_facts, print_json, print_lines, print_table
from hwsim.cli.wording import NOTHING
from hwsim.energy.table import EnergyTable
from hwsim.numerics.number_formats import FLOAT_FORMATS, Codebook, FixedPointFormat, FloatFormat

ENERGY_TABLE = "horowitz_45nm"
_FIXED_POINT = (
    FixedPointFormat(31, 0),
    FixedPointFormat(15, 0),
    FixedPointFormat(7, 0),
    FixedPointFormat(3, 0),
    FixedPointFormat(7, 8),
    FixedPointFormat(3, 4),
)
_HEADERS = (
    "bits",
    "exponent",
    "fraction",
    "largest",
    "smallest normal",
    "smallest",
    "precision",
    "epsilon",
    "digits",
    "multiply pJ",
    "add pJ",
)
_OPTIONAL = {"exponent", "fraction", "smallest normal", "epsilon", "digits"}
_PUBLISHED_INTEGERS = ("int8", "int32")
_CODEBOOK = Codebook((-0.6, 0.0, 0.4, 1.1))


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRow:
    """One format; what it does not have is None. Energies are of one operation, in the table that is named.

    ``energy_is_published``: the source has figures for this format; else they lie on the table's curve through those.
    """

    name: str
    description: str
    bits: int
    exponent_bits: int | None = None
    fraction_bits: int | None = None
    exponent_bias: int | None = None
    min: float
    max: float
    smallest_normal: float | None = None
    smallest_positive: float
    precision_bits: int | None = None
    epsilon: float | None = None
    decimal_digits: int | None = None
    multiply_pj: float | None = None
    add_pj: float | None = None
    energy_is_published: bool | None = None
    energy_table: str | None = None


def print_formats(*, as_json: bool) -> None:
    """Print the table of formats."""
    rows = list(format_rows(EnergyTable.load(ENERGY_TABLE)))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = [Column("format", numeric=False), *(Column(name, optional=name in _OPTIONAL) for name in _HEADERS)]
    print_table(columns, [_cells(row) for row in rows])
    print_facts((row.name, row.description) for row in rows)
    note = f"energies: {ENERGY_TABLE}; ~ has no figure in its source and lies on the curve through those that have"
    print_lines("", note, "digits: decimal digits that always survive; precision: bits of the significand")


def format_rows(table: EnergyTable) -> Iterator[FormatRow]:
    """Yield the floats, some fixed-point formats, and a codebook."""
    for one in FLOAT_FORMATS.values():
        yield _float_row(one, table)
    for fixed in _FIXED_POINT:
        yield _fixed_row(fixed, table)
    entries = ", ".join(f"{entry:g}" for entry in _CODEBOOK.entries)
    yield FormatRow(
        name="codebook",
        description=f"an index of a table of {_CODEBOOK.entry_bits}-bit entries, such as {{{entries}}}",
        bits=_CODEBOOK.bits,
        min=_CODEBOOK.min,
        max=_CODEBOOK.max,
        smallest_positive=min(entry for entry in _CODEBOOK.entries if entry > 0),
    )


def _float_row(one: FloatFormat, table: EnergyTable) -> FormatRow:
    model = table.actions.float_multiply
    return FormatRow(
        name=one.name,
        description=one.description,
        bits=one.bits,
        exponent_bits=one.exponent_bits,
        fraction_bits=one.fraction_bits,
        exponent_bias=one.bias,
        min=one.min,
        max=one.max,
        smallest_normal=one.smallest_normal,
        smallest_positive=one.smallest_subnormal,
        precision_bits=one.significand_bits,
        epsilon=one.epsilon,
        decimal_digits=one.decimal_digits,
        multiply_pj=table.float_multiply_pj(one.significand_bits),
        add_pj=table.float_add_pj(one.significand_bits),
        energy_is_published=model is not None and one.name in model.published,
        energy_table=table.name,
    )


def _fixed_row(one: FixedPointFormat, table: EnergyTable) -> FormatRow:
    kind = "two's complement" if one.fraction_bits == 0 else "fixed point, two's complement"
    split = f": sign, {one.integer_bits} integer and {one.fraction_bits} fraction bits" if one.fraction_bits else ""
    return FormatRow(
        name=one.name,
        description=kind + split,
        bits=one.bits,
        fraction_bits=one.fraction_bits,
        min=one.min,
        max=one.max,
        smallest_positive=one.resolution,
        multiply_pj=table.int_multiply_pj(one.bits, one.bits),
        add_pj=table.int_add_pj(one.bits),
        energy_is_published=f"int{one.bits}" in _PUBLISHED_INTEGERS,
        energy_table=table.name,
    )


def _cells(row: FormatRow) -> list[str]:
    sign = "" if row.energy_is_published else "~"
    return [
        row.name,
        str(row.bits),
        _count(row.exponent_bits),
        _count(row.fraction_bits),
        f"{row.max:.6g}",
        _real(row.smallest_normal),
        f"{row.smallest_positive:.4g}",
        _count(row.precision_bits),
        _real(row.epsilon),
        _count(row.decimal_digits),
        NOTHING if row.multiply_pj is None else f"{sign}{row.multiply_pj:.2g}",
        NOTHING if row.add_pj is None else f"{sign}{row.add_pj:.2g}",
    ]


def _count(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def _real(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.5g}"
