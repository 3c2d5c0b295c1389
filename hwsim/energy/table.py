"""Energy per action, from a sourced table file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from hwsim.energy.actions import Actions
from hwsim.energy.table_file import read_table_file
from hwsim.errors import ConfigError, did_you_mean

_SHIPPED_FOLDER = Path(__file__).parent / "tables"
_Model = TypeVar("_Model")


def shipped_tables() -> list[str]:
    """Return the sorted names of the tables that come with hwsim."""
    return sorted(path.stem for path in _SHIPPED_FOLDER.glob("*.yaml"))


def _table_path(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path
    shipped = shipped_tables()
    if str(name_or_path) in shipped:
        return _SHIPPED_FOLDER / f"{name_or_path}.yaml"
    raise ConfigError(
        f"unknown energy table '{name_or_path}'; allowed: a path of a YAML file, or one of "
        f"{', '.join(shipped)}"
        f"{did_you_mean(str(name_or_path), shipped)}"
    )


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """Picojoules per action at one technology node.

    Every method raises ConfigError when the table has no entry for its action: a missing figure is never 0.
    """

    name: str
    node_nm: float
    actions: Actions

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """Read a table: a path of a YAML file, else the name of a shipped table.

        Raises:
            ConfigError: no such table, or its file is wrong; one line for each problem.
        """
        contents = read_table_file(_table_path(name_or_path))
        return cls(contents.name, contents.node_nm, contents.actions)

    def known_actions(self) -> list[str]:
        """Return the names of the actions that the table has an entry for."""
        return [action for action in Actions.model_fields if getattr(self.actions, action) is not None]

    def int_multiply_pj(self, weight_bits: int, activation_bits: int) -> float:
        """Return the energy of one integer multiplication of operands of these widths."""
        return self._entry("int_multiply", self.actions.int_multiply).energy_pj(weight_bits, activation_bits)

    def int_add_pj(self, bits: int) -> float:
        """Return the energy of one integer addition at this width."""
        return self._entry("int_add", self.actions.int_add).energy_pj(bits)

    def float_multiply_pj(self, significand_bits: int) -> float:
        """Return the energy of one floating-point multiplication of operands of this precision."""
        return self._entry("float_multiply", self.actions.float_multiply).energy_pj(significand_bits)

    def float_add_pj(self, significand_bits: int) -> float:
        """Return the energy of one floating-point addition at this precision."""
        return self._entry("float_add", self.actions.float_add).energy_pj(significand_bits)

    def register_write_pj(self, bits: int) -> float:
        """Return the energy of writing one register of this width."""
        return self._entry("register_write", self.actions.register_write).energy_pj(bits)

    def sram_access_pj(self, capacity_bytes: float, bits: float) -> float:
        """Return the energy of reading or writing ``bits`` bits of an SRAM of this capacity."""
        return self._entry("sram_access", self.actions.sram_access).energy_pj(capacity_bytes, bits)

    def dram_access_pj(self, bits: float) -> float:
        """Return the energy of reading or writing ``bits`` bits of DRAM."""
        return self._entry("dram_access", self.actions.dram_access).energy_pj(bits)

    def shift_pj(self, bits: int) -> float:
        """Return the energy of shifting one word of this width."""
        return self._entry("shift", self.actions.shift).energy_pj(bits)

    def compare_pj(self, bits: int) -> float:
        """Return the energy of comparing two words of this width."""
        return self._entry("compare", self.actions.compare).energy_pj(bits)

    def _entry(self, action: str, model: _Model | None) -> _Model:
        if model is None:
            known = ", ".join(self.known_actions()) or "nothing"
            raise ConfigError(f"energy table '{self.name}' has no entry '{action}'; it has: {known}")
        return model
