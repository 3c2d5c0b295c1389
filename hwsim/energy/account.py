"""From counts of actions to energy: which entry of the table each action of the machine stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

from hwsim.counts import Action
from hwsim.energy.table import EnergyTable
from hwsim.errors import ConfigError, did_you_mean

FLOAT32_BITS = 32
FLOAT32_SIGNIFICAND_BITS = 24


@dataclass(frozen=True, slots=True)
class EnergyContext:
    """The widths and capacities that the energy of an action depends on.

    ``lut_entries`` and ``lut_output_bits`` are 0 in a machine without an activation LUT, ``decoder_entries`` in one
    without a decoder of weights. ``float_operand_bits`` and ``float_accumulator_bits`` are the bits of significands, 0
    where integers are computed with. All others are positive.
    """

    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    multiplier_bits: int
    activation_scratchpad_bytes: int
    weight_scratchpad_bytes: int
    output_scratchpad_bytes: int
    lut_entries: int
    lut_output_bits: int
    decoder_entries: int = 0
    float_operand_bits: int = 0
    float_accumulator_bits: int = 0

    def __post_init__(self) -> None:
        """Refuse widths and capacities that no machine has."""
        for field in fields(self):
            smallest = 0 if field.name.startswith(("lut_", "decoder_", "float_")) else 1
            value = getattr(self, field.name)
            if value < smallest:
                raise ValueError(f"{field.name} is {value}; allowed: {smallest} or more")

    @property
    def lut_bytes(self) -> float:
        """Size of the activation LUT's memory."""
        return self.lut_entries * self.lut_output_bits / 8

    @property
    def decoder_bytes(self) -> float:
        """Size of one decoder's table of weights."""
        return self.decoder_entries * self.weight_bits / 8


@dataclass(frozen=True, slots=True)
class EnergyEntry:
    """Energy of all actions of one kind: ``count`` times the energy of one action."""

    component: str
    action: str
    count: float
    energy_pj: float


ActionEnergy = Callable[[EnergyTable, EnergyContext], float]


def _multiply(table: EnergyTable, context: EnergyContext) -> float:
    if context.float_operand_bits:
        return table.float_multiply_pj(context.float_operand_bits)
    return table.int_multiply_pj(context.weight_bits, context.activation_bits)


def _accumulator_add(table: EnergyTable, context: EnergyContext) -> float:
    if context.float_accumulator_bits:
        return table.float_add_pj(context.float_accumulator_bits)
    return table.int_add_pj(context.accumulator_bits)


def _accumulator_register(table: EnergyTable, context: EnergyContext) -> float:
    return table.register_write_pj(context.accumulator_bits)


def _activation_register(table: EnergyTable, context: EnergyContext) -> float:
    return table.register_write_pj(context.activation_bits)


def _weight_register(table: EnergyTable, context: EnergyContext) -> float:
    return table.register_write_pj(context.weight_bits)


def _activation_scratchpad_bit(table: EnergyTable, context: EnergyContext) -> float:
    return table.sram_access_pj(context.activation_scratchpad_bytes, bits=1)


def _weight_scratchpad_bit(table: EnergyTable, context: EnergyContext) -> float:
    return table.sram_access_pj(context.weight_scratchpad_bytes, bits=1)


def _output_scratchpad_bit(table: EnergyTable, context: EnergyContext) -> float:
    return table.sram_access_pj(context.output_scratchpad_bytes, bits=1)


def _dram_bit(table: EnergyTable, _: EnergyContext) -> float:
    return table.dram_access_pj(bits=1)


def _requantizer_multiply(table: EnergyTable, context: EnergyContext) -> float:
    return table.int_multiply_pj(context.accumulator_bits, context.multiplier_bits)


def _requantizer_shift(table: EnergyTable, context: EnergyContext) -> float:
    """The shifter sees the whole product of accumulator and multiplier."""
    return table.shift_pj(context.accumulator_bits + context.multiplier_bits)


def _lut_lookup(table: EnergyTable, context: EnergyContext) -> float:
    """A read of one entry from a memory as large as the LUT."""
    return table.sram_access_pj(context.lut_bytes, context.lut_output_bits)


def _weight_decode(table: EnergyTable, context: EnergyContext) -> float:
    """A read of one weight from a memory as large as the table, like a look-up of the activation LUT.

    The tables are far smaller than any published memory, so that the first segment is extended: 16 entries of 8
    bits come to 0.055 pJ, as much as writing a register of 6 bits.
    """
    return table.sram_access_pj(context.decoder_bytes, context.weight_bits)


def _weight_scale(table: EnergyTable, context: EnergyContext) -> float:
    """A product of floats; making a float of the code before it is a shift, and is not counted."""
    return table.float_multiply_pj(context.float_operand_bits)


def _weight_offset(table: EnergyTable, context: EnergyContext) -> float:
    return table.int_add_pj(context.weight_bits + 1)


def _activation_compare(table: EnergyTable, context: EnergyContext) -> float:
    return table.compare_pj(context.activation_bits)


def _float_add(table: EnergyTable, _: EnergyContext) -> float:
    return table.float_add_pj(FLOAT32_SIGNIFICAND_BITS)


def _float_multiply(table: EnergyTable, _: EnergyContext) -> float:
    return table.float_multiply_pj(FLOAT32_SIGNIFICAND_BITS)


def _float_compare(table: EnergyTable, _: EnergyContext) -> float:
    """Sign and magnitude are compared as an integer is."""
    return table.compare_pj(FLOAT32_BITS)


def _float_register(table: EnergyTable, _: EnergyContext) -> float:
    return table.register_write_pj(FLOAT32_BITS)


# What one action of the machine costs. One ``read_bits`` or ``write_bits`` is one bit moved. The accumulator
# buffer is made of registers, and a read of one is taken as costly as a write.
ACTION_ENERGIES: dict[Action, ActionEnergy] = {
    ("pe", "multiply"): _multiply,
    ("pe", "accumulate"): _accumulator_add,
    ("pe", "activation_register_write"): _activation_register,
    ("pe", "weight_register_write"): _weight_register,
    ("pe", "partial_sum_register_write"): _accumulator_register,
    ("accumulator_buffer", "add"): _accumulator_add,
    ("accumulator_buffer", "write"): _accumulator_register,
    ("accumulator_buffer", "read"): _accumulator_register,
    ("activation_scratchpad", "read_bits"): _activation_scratchpad_bit,
    ("activation_scratchpad", "write_bits"): _activation_scratchpad_bit,
    ("weight_scratchpad", "read_bits"): _weight_scratchpad_bit,
    ("weight_scratchpad", "write_bits"): _weight_scratchpad_bit,
    ("output_scratchpad", "read_bits"): _output_scratchpad_bit,
    ("output_scratchpad", "write_bits"): _output_scratchpad_bit,
    ("dram", "read_bits"): _dram_bit,
    ("dram", "write_bits"): _dram_bit,
    ("requantizer", "multiply"): _requantizer_multiply,
    ("requantizer", "add"): _accumulator_add,
    ("requantizer", "shift"): _requantizer_shift,
    ("requantizer", "row_sum_add"): _accumulator_add,
    ("requantizer", "column_sum_add"): _accumulator_add,
    ("activation_lut", "lookup"): _lut_lookup,
    ("vector_unit", "compare"): _activation_compare,
    ("vector_unit", "add"): _accumulator_add,
    ("vector_unit", "multiply"): _requantizer_multiply,
    ("vector_unit", "shift"): _requantizer_shift,
    ("vector_unit", "move"): _activation_register,
    ("vector_unit", "float_add"): _float_add,
    ("vector_unit", "float_multiply"): _float_multiply,
    ("vector_unit", "float_compare"): _float_compare,
    ("vector_unit", "float_move"): _float_register,
    ("weight_decoder", "lookup"): _weight_decode,
    ("weight_decoder", "float_multiply"): _weight_scale,
    ("weight_decoder", "subtract"): _weight_offset,
}


@dataclass(frozen=True, slots=True)
class Account:
    """Prices the actions of one machine with one energy table."""

    table: EnergyTable
    context: EnergyContext

    def action_energy_pj(self, component: str, action: str) -> float:
        """Return the energy of one action.

        Raises:
            ConfigError: the action has no energy model, or the table no entry for it; the text names
                component, action and table.
        """
        energy_of = ACTION_ENERGIES.get((component, action))
        if energy_of is None:
            known = [".".join(key) for key in ACTION_ENERGIES]
            close = did_you_mean(f"{component}.{action}", known)
            raise ConfigError(f"{component}.{action}: no energy model; allowed: {', '.join(known)}{close}")
        try:
            return energy_of(self.table, self.context)
        except ConfigError as error:
            raise ConfigError(f"{component}.{action}: {problem}" for problem in error.problems) from error

    def entries(self, counts: Mapping[Action, float]) -> list[EnergyEntry]:
        """Return the energy of every counted action, in the order of ``ACTION_ENERGIES``.

        Raises:
            ConfigError: as ``action_energy_pj``, also for an action counted 0 times.
        """
        energies_pj = {key: self.action_energy_pj(*key) for key in counts}
        return [
            EnergyEntry(*key, count=counts[key], energy_pj=counts[key] * energies_pj[key])
            for key in ACTION_ENERGIES
            if key in energies_pj
        ]


def total_energy_pj(entries: Iterable[EnergyEntry]) -> float:
    """Return the sum of the entries' energies."""
    return sum(entry.energy_pj for entry in entries)
