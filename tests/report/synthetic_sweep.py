"""A sweep as it might come from a run: formulas stand in for the simulation, the energy account is the real one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.energy.account import Account, EnergyContext, total_energy_pj
from hwsim.energy.table import EnergyTable
from hwsim.results.layer_result import LayerResult, sparse_overflows
from hwsim.results.run_result import RunResult, utilization
from hwsim.results.store import ResultStore, StoredPoint, SweepPoint

SAMPLES = 360
LAYERS = {  # name: (out_rows, depth, out_cols)
    "digits_mlp": {"dense_1": (1, 64, 48), "dense_2": (1, 48, 32), "logits": (1, 32, 10)},
    "digits_cnn": {
        "conv_1": (64, 9, 16),
        "conv_2": (64, 144, 16),
        "max_pool": (0, 0, 0),
        "conv_3": (16, 144, 32),
        "global_average": (0, 0, 0),
        "logits": (1, 32, 10),
    },
}
FLOAT_ACCURACY = {"digits_mlp": 0.972, "digits_cnn": 0.986}
KEPT_BY_BITS = {2: 0.42, 3: 0.83, 4: 0.951, 5: 0.982, 6: 0.993, 7: 0.997, 8: 1.0}


def architecture(**array: Any) -> dict[str, Any]:
    resolved = {
        "rows": 16,
        "cols": 16,
        "dataflow": "output_stationary",
        "weight_bits": 8,
        "activation_bits": 8,
        "guard_bits": 8,
        "overflow": "saturate",
    }
    return {"name": "edge16", "clock_hz": 500e6, "array": resolved | array, "dram": {"bytes_per_cycle": 8}}


def synthetic_layer(name: str, shape: tuple[int, int, int], array: dict[str, Any], seed: int) -> LayerResult:
    out_rows, depth, out_cols = shape
    weight_stationary = array["dataflow"] == "weight_stationary"
    tiles = (depth, out_cols) if weight_stationary else (out_rows, out_cols)
    stream = out_rows if weight_stationary else depth
    folds = ceil(tiles[0] / array["rows"]) * ceil(tiles[1] / array["cols"])
    edge = array["rows"] + array["cols"] - 2
    cycles = {
        "fill_cycles": folds * (array["rows"] if weight_stationary else edge),
        "compute_cycles": folds * stream,
        "drain_cycles": folds * (edge if weight_stationary else array["rows"]),
        "load_stall_cycles": 100 * (depth > 0) + depth * out_cols * array["weight_bits"] // 256,
        "write_stall_cycles": 12 * (out_rows > 1),
        "requantize_cycles": 4 * (depth > 0) + out_rows * out_cols // 64,
        "vector_cycles": 0 if depth else 64,
    }
    total = sum(cycles.values())
    macs = out_rows * depth * out_cols
    energy = tuple(_account(array).entries(_counts(shape, array)))
    overflows = _overflows(shape, array, seed)
    return LayerResult(
        layer=name,
        out_rows=out_rows,
        depth=depth,
        out_cols=out_cols,
        groups=1,
        macs=macs,
        array_cycles=cycles["fill_cycles"] + cycles["compute_cycles"] + cycles["drain_cycles"],
        total_cycles=total,
        **cycles,
        utilization=utilization(macs, array["rows"] * array["cols"], total),
        energy_pj=total_energy_pj(energy),
        overflow_events=int(overflows.sum()),
        preload_overflow_events=0,
        weight_bits=array["weight_bits"],
        activation_bits=array["activation_bits"],
        accumulator_bits=_accumulator_bits(array),
        energy=energy,
        pe_overflows=sparse_overflows(overflows),
    )


def _accumulator_bits(array: dict[str, Any]) -> int:
    return int(array["weight_bits"] + array["activation_bits"] + array["guard_bits"])


def _account(array: dict[str, Any]) -> Account:
    scratchpads = {f"{name}_scratchpad_bytes": 65536 for name in ("activation", "weight", "output")}
    context = EnergyContext(
        weight_bits=array["weight_bits"],
        activation_bits=array["activation_bits"],
        accumulator_bits=_accumulator_bits(array),
        multiplier_bits=31,
        lut_entries=256,
        lut_output_bits=8,
        **scratchpads,
    )
    return Account(EnergyTable.load("horowitz_45nm"), context)


def _counts(shape: tuple[int, int, int], array: dict[str, Any]) -> dict[tuple[str, str], float]:
    out_rows, depth, out_cols = shape
    macs, outputs = out_rows * depth * out_cols, out_rows * out_cols
    if macs == 0:
        return {("vector_unit", "compare"): 768, ("output_scratchpad", "read_bits"): 1024 * array["activation_bits"]}
    weight_bits = depth * out_cols * array["weight_bits"]
    counts: dict[tuple[str, str], float] = {
        ("pe", "multiply"): macs,
        ("pe", "accumulate"): macs,
        ("pe", "activation_register_write"): macs,
        ("pe", "weight_register_write"): macs / (1 if array["dataflow"] == "output_stationary" else out_rows),
        ("pe", "partial_sum_register_write"): macs,
        ("activation_scratchpad", "read_bits"): macs * array["activation_bits"] / 16,
        ("weight_scratchpad", "write_bits"): weight_bits,
        ("weight_scratchpad", "read_bits"): weight_bits,
        ("output_scratchpad", "write_bits"): outputs * array["activation_bits"],
        ("dram", "read_bits"): weight_bits,
        ("requantizer", "multiply"): outputs,
        ("requantizer", "shift"): outputs,
        ("activation_lut", "lookup"): outputs,
    }
    if array["dataflow"] == "weight_stationary":
        counts[("accumulator_buffer", "add")] = macs / 16
        counts[("accumulator_buffer", "write")] = macs / 16
    return counts


def _overflows(shape: tuple[int, int, int], array: dict[str, Any], seed: int) -> np.ndarray:
    """Long sums in narrow accumulators overflow, the further down the array the more often."""
    rows, cols = array["rows"], array["cols"]
    depth = shape[1]
    strength = depth / 2 ** (array["guard_bits"] + 1) / 8 - 0.25
    mean = max(0.0, strength) * SAMPLES * 4 ** (array["weight_bits"] / 4) / 40
    generator = np.random.default_rng(seed)
    profile = np.linspace(0.02, 1, rows + 1)[:, None] * generator.random((rows + 1, cols))
    events = generator.poisson(mean * profile)
    if array["dataflow"] == "output_stationary":
        events[rows] = 0
    return events.astype(np.int64)


def synthetic_result(workload: str, resolved: dict[str, Any], *, labelled: bool = True) -> RunResult:
    array = resolved["array"]
    layers = tuple(
        synthetic_layer(name, shape, array, seed) for seed, (name, shape) in enumerate(LAYERS[workload].items())
    )
    harm = sum(layer.overflow_events for layer in layers) / SAMPLES / 60
    accuracy = FLOAT_ACCURACY[workload] * KEPT_BY_BITS.get(array["weight_bits"], 1.0) * 0.95**harm
    return RunResult(
        version="0.1.0",
        architecture=resolved,
        workload=workload,
        engine="functional",
        samples=SAMPLES,
        accuracy=round(max(accuracy, 0.1) * SAMPLES) / SAMPLES if labelled else None,
        float_accuracy=FLOAT_ACCURACY[workload] if labelled else None,
        sqnr_db=6.02 * array["weight_bits"] - 10 - harm,
        layer_results=layers,
    )


def points(axes: dict[str, Iterable[Any]], *, zipped_bits: bool = True, labelled: bool = True) -> list[StoredPoint]:
    """Return the points of all workloads over the product of ``axes`` (array keys; activations follow weights)."""
    made = []
    for number, (workload, values) in enumerate(product(LAYERS, product(*axes.values()))):
        array = dict(zip(axes, values, strict=True))
        if zipped_bits and "weight_bits" in array:
            array["activation_bits"] = array["weight_bits"]
        resolved = architecture(**array)
        place = SweepPoint(number, f"key{number}", workload, {f"array.{key}": array[key] for key in array})
        result = synthetic_result(workload, resolved, labelled=labelled)
        made.append(StoredPoint(place, resolved, "ok", result=result))
    return made


def widths_sweep() -> list[StoredPoint]:
    """Two workloads, 7 widths, 4 guard bits, 2 dataflows: 112 points."""
    return points(
        {
            "weight_bits": range(2, 9),
            "guard_bits": [0, 2, 4, 8],
            "dataflow": ["output_stationary", "weight_stationary"],
        }
    )


def store(folder: Path, stored: Iterable[StoredPoint]) -> Path:
    with ResultStore(folder, create=True) as opened:
        for point in stored:
            opened.put(point)
    return folder
