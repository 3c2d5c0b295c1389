"""Names of exchangeable parts: built-ins and third parties register through the same entry points.

A group is an entry-point group such as ``hwsim.calibrators``; its parts are imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import Any

from hwsim.errors import ConfigError, did_you_mean

CALIBRATORS = "hwsim.calibrators"
REPAIRS = "hwsim.repairs"
REQUANTIZATION_SCHEMES = "hwsim.requantization_schemes"


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def names(group: str) -> list[str]:
    """Return the sorted names registered in ``group``."""
    return sorted(_group(group))


@cache
def load(group: str, name: str) -> Any:
    """Import and return what ``name`` stands for in ``group``.

    Raises:
        ConfigError: no such name; the text lists the allowed ones and the closest.
    """
    entries = _group(group)
    if name not in entries:
        kind = group.removeprefix("hwsim.").removesuffix("s").replace("_", " ")
        raise ConfigError(
            f"unknown {kind} '{name}'; allowed: {', '.join(sorted(entries))}{did_you_mean(name, entries)}"
        )
    return entries[name].load()


def make(group: str, name: str, options: Mapping[str, Any]) -> Any:
    """Return a new instance of the class that ``name`` stands for; ``options`` are its parameters.

    Raises:
        ConfigError: no such name, parameters that the class does not have, or values that it does not take.
    """
    part = load(group, name)
    allowed = list(signature(part).parameters)
    unknown = [option for option in options if option not in allowed]
    if unknown:
        known = ", ".join(allowed) or "none"
        raise ConfigError(
            f"{name}: unknown option '{option}'; allowed: {known}{did_you_mean(option, allowed)}" for option in unknown
        )
    return part(**options)
