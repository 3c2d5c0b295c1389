"""The JSON Schemas of the specifications, for editors and for other programs."""

from __future__ import annotations

from typing import Any, Literal

from hwsim.config.arch import ArchSpec
from hwsim.config.base import Spec
from hwsim.config.sweep import SweepSpec
from hwsim.config.workload import WorkloadSpec

SpecKind = Literal["arch", "sweep", "workload"]

MODELS: dict[SpecKind, type[Spec]] = {"arch": ArchSpec, "sweep": SweepSpec, "workload": WorkloadSpec}


def json_schema(kind: SpecKind) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of YAML file; each key is described, with its unit."""
    schema = MODELS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
