"""A small correct workload, to be written as it is or with something broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LAYERS = """\
  - {name: conv, type: conv2d, filters: 3, kernel: [2, 2], padding: same, bias: false}
  - {name: bn, type: batch_norm}
  - {name: relu, type: relu}
  - {name: pool, type: max_pool2d, pool: [2, 2]}
  - {name: flatten, type: flatten}
  - {name: fc, type: dense, units: 2}
"""
FRAME = """\
schema_version: 1
name: tiny
arrays: tiny.npz
input_shape: [4, 4, 1]
layers:
{layers}data: {{calibration: seen, inputs: tests, labels: classes}}
"""


def right_arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    samples = random.random((6, 4, 4, 1))
    return {
        "conv.weight": random.normal(size=(2, 2, 1, 3)),
        "bn.gamma": random.normal(size=3),
        "bn.beta": random.normal(size=3),
        "bn.mean": random.normal(size=3),
        "bn.variance": random.random(3),
        "fc.weight": random.normal(size=(12, 2)),
        "fc.bias": random.normal(size=2),
        "seen": samples,
        "tests": samples,
        "classes": np.array([0, 1, 1, 0, 1, 0]),
    }


def write_workload(folder: Path, arrays: dict[str, np.ndarray], layers: str = LAYERS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "workload.yaml").write_text(FRAME.format(layers=layers), encoding="utf-8")
    np.savez(folder / "tiny.npz", **arrays)
    return folder
