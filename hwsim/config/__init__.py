"""Specifications of architectures, sweeps and workloads, read from YAML and validated as a whole."""

from __future__ import annotations

from hwsim.config.arch import ArchSpec, ArraySpec, LutSpec, RequantizerSpec, VectorUnitSpec
from hwsim.config.load import LoadedSweep, load_arch, load_sweep, load_workload_spec
from hwsim.config.memories import DramSpec, ScratchpadSpec, ScratchpadsSpec
from hwsim.config.overrides import apply_overrides
from hwsim.config.quantization import (
    ActivationQuantizationSpec,
    LayerQuantizationSpec,
    QuantizationSpec,
    WeightQuantizationSpec,
)
from hwsim.config.schema import SpecKind, json_schema
from hwsim.config.shipped import ARCHITECTURE, SWEEP, WORKLOAD
from hwsim.config.sweep import SweepPoint, SweepSpec, expand
from hwsim.config.templates import template
from hwsim.config.workload import AnyLayer, DataSpec, WorkloadSpec

__all__ = [
    "ARCHITECTURE",
    "SWEEP",
    "WORKLOAD",
    "ActivationQuantizationSpec",
    "AnyLayer",
    "ArchSpec",
    "ArraySpec",
    "DataSpec",
    "DramSpec",
    "LayerQuantizationSpec",
    "LoadedSweep",
    "LutSpec",
    "QuantizationSpec",
    "RequantizerSpec",
    "ScratchpadSpec",
    "ScratchpadsSpec",
    "SpecKind",
    "SweepPoint",
    "SweepSpec",
    "VectorUnitSpec",
    "WeightQuantizationSpec",
    "WorkloadSpec",
    "apply_overrides",
    "expand",
    "json_schema",
    "load_arch",
    "load_sweep",
    "load_workload_spec",
    "template",
]
