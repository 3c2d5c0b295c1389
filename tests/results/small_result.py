"""One small result, made by hand."""

from __future__ import annotations

from typing import Any

from hwsim.energy.account import EnergyEntry
from hwsim.results.layer_result import LayerResult, PeOverflow
from hwsim.results.run_result import OverflowEvent, RunResult
from hwsim.results.store import StoredPoint, SweepPoint

ARCHITECTURE: dict[str, Any] = {
    "name": "tiny",
    "clock_hz": 1e6,
    "array": {
        "rows": 2,
        "cols": 2,
        "dataflow": "weight_stationary",
        "weight_bits": 8,
        "activation_bits": 8,
        "guard_bits": 0,
        "overflow": "wrap",
    },
}


def layer(name: str, **changes: Any) -> LayerResult:
    figures: dict[str, Any] = {
        "layer": name,
        "out_rows": 1,
        "depth": 16,
        "out_cols": 10,
        "groups": 1,
        "macs": 160,
        "array_cycles": 80,
        "total_cycles": 100,
        "fill_cycles": 10,
        "compute_cycles": 50,
        "drain_cycles": 20,
        "load_stall_cycles": 12,
        "write_stall_cycles": 0,
        "requantize_cycles": 8,
        "vector_cycles": 0,
        "utilization": 0.4,
        "energy_pj": 90.0,
        "overflow_events": 5,
        "preload_overflow_events": 1,
        "weight_bits": 8,
        "activation_bits": 8,
        "accumulator_bits": 16,
        "energy": (EnergyEntry("pe", "multiply", 160, 32.0), EnergyEntry("dram", "read_bits", 2.5, 58.0)),
        "pe_overflows": (PeOverflow(0, 1, 3), PeOverflow(2, 0, 2)),
    }
    return LayerResult(**(figures | changes))


def small_result(**changes: Any) -> RunResult:
    figures: dict[str, Any] = {
        "version": "0.1.0",
        "architecture": ARCHITECTURE,
        "workload": "digits",
        "engine": "functional",
        "samples": 4,
        "accuracy": 0.75,
        "float_accuracy": 1.0,
        "sqnr_db": 21.5,
        "layer_results": (layer("dense1"), layer("dense2", overflow_events=0, pe_overflows=())),
        "events_kept": (OverflowEvent("dense1", 7, 0, 1),),
        "events_left_out": 2,
    }
    return RunResult(**(figures | changes))


def stored_point(point: int, *, key: str | None = None, **changes: Any) -> StoredPoint:
    place = SweepPoint(point, key or f"key{point}", "digits", {"array.guard_bits": point, "input_range": [-8, 8]})
    figures: dict[str, Any] = {"config": ARCHITECTURE, "status": "ok", "result": small_result()}
    return StoredPoint(place, **(figures | changes))


def failed_point(point: int) -> StoredPoint:
    return stored_point(point, status="failed", error="does not fit,\nat all", result=None)
