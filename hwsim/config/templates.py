"""Commented YAML files to start from."""

from __future__ import annotations

from importlib.resources import files

from hwsim.config.schema import SpecKind


def template(kind: SpecKind) -> str:
    """Return a commented YAML file that loads as it is; a workload's file of arrays is still to be made."""
    return files("hwsim.config").joinpath("templates", f"{kind}.yaml").read_text(encoding="utf-8")
