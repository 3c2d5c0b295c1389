"""``hwsim list``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hwsim.cli.output import print_facts, print_json
from hwsim.cli.wording import one_of
from hwsim.config.load import load_arch, load_workload_spec
from hwsim.config.shipped import ARCHITECTURE, SWEEP, WORKLOAD
from hwsim.registry import CALIBRATORS, REPAIRS, REQUANTIZATION_SCHEMES, load, names

FORMATS = "formats"
_DATAFLOWS = {
    "output_stationary": "sums stay in the PEs; activations flow right, weights flow down",
    "weight_stationary": "weights stay in the PEs; activations flow right, sums flow down",
    "input_stationary": "activations stay in the PEs; weights flow right, sums flow down",
}


def print_names(kind: str, *, as_json: bool) -> None:
    """Print the names of a kind, each with a line about it.

    Raises:
        ConfigError: no such kind.
    """
    if one_of(kind, [*_KINDS, FORMATS], "kind") == FORMATS:
        from hwsim.cli.formats_text import print_formats

        print_formats(as_json=as_json)
        return
    descriptions = _KINDS[kind]()
    if as_json:
        print_json([{"name": name, "description": text} for name, text in descriptions.items()])
    else:
        print_facts(descriptions.items())


def _architectures() -> dict[str, str]:
    return {name: load_arch(path).description for name, path in ARCHITECTURE.shipped().items()}


def _sweeps() -> dict[str, str]:
    from hwsim.config.load import load_sweep

    return {name: load_sweep(path).spec.description for name, path in SWEEP.shipped().items()}


def _workloads() -> dict[str, str]:
    return {name: load_workload_spec(path).description for name, path in WORKLOAD.shipped().items()}


def _energy_tables() -> dict[str, str]:
    from hwsim.energy.table import EnergyTable, shipped_tables

    return {name: _energy_table(EnergyTable.load(name)) for name in shipped_tables()}


def _energy_table(table: Any) -> str:
    return f"{table.node_nm:g} nm; energies of {', '.join(table.known_actions())}"


def _registered(group: str) -> Callable[[], Mapping[str, str]]:
    """Return what lists a group of the registry."""
    return lambda: {name: _first_line(load(group, name)) for name in names(group)}


def _first_line(part: Any) -> str:
    """Return the first line of a docstring, without its markup."""
    return (inspect.getdoc(part) or "").partition("\n")[0].replace("``", "")


_KINDS: dict[str, Callable[[], Mapping[str, str]]] = {
    "architectures": _architectures,
    "sweeps": _sweeps,
    "workloads": _workloads,
    "dataflows": lambda: _DATAFLOWS,
    "energy-tables": _energy_tables,
    "calibrators": _registered(CALIBRATORS),
    "repairs": _registered(REPAIRS),
    "requantization-schemes": _registered(REQUANTIZATION_SCHEMES),
}
