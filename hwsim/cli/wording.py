"""How figures look in tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from hwsim.errors import ConfigError, did_you_mean

NOTHING = "-"
_ENERGY_UNITS = ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))


def one_of(name: str, allowed: Sequence[str], what: str) -> str:
    """Return ``name`` if it is allowed.

    Raises:
        ConfigError: it is not; the text lists the allowed names and the closest.
    """
    if name in allowed:
        return name
    raise ConfigError(f"unknown {what} '{name}'; allowed: {', '.join(allowed)}{did_you_mean(name, allowed)}")


def significant(value: float | None) -> str:
    """Return four significant digits, and never fewer than the integer part; ``-`` for nothing or NaN."""
    if value is None or math.isnan(value):
        return NOTHING
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.4g}".removesuffix(".")


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage with one decimal; ``-`` for nothing."""
    return NOTHING if fraction is None or math.isnan(fraction) else f"{100 * fraction:.1f}%"


def energy_unit(energies_pj: Iterable[float]) -> tuple[float, str]:
    """Return the picojoules in the unit that suits the largest energy, and the unit's name."""
    largest = max(energies_pj, default=0.0)
    return next((unit for unit in _ENERGY_UNITS if largest >= unit[0]), _ENERGY_UNITS[-1])


def energy(energy_pj: float) -> str:
    """Return an energy in the unit that suits it."""
    picojoules, unit = energy_unit([energy_pj])
    return f"{significant(energy_pj / picojoules)} {unit}"


def frequency(hertz: float) -> str:
    """Return a frequency in the unit that suits it."""
    factor, unit = next(((f, u) for f, u in ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")) if hertz >= f), (1.0, "Hz"))
    return f"{hertz / factor:g} {unit}"


def counted(number: int, noun: str) -> str:
    """Return ``1 point`` or ``2 points``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
