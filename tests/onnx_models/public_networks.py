"""Public quantized ``.onnx`` networks and samples for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from shared_files import shared

from hwsim.readers.read import read_workload


def shared_file(*parts: str) -> Path:
    return shared("models", *parts)


def images(samples: int) -> tuple[np.ndarray, np.ndarray]:
    with np.load(shared_file("data", "cifar10_test_first761.npz"), allow_pickle=False) as data:
        return (data["x"][:samples].astype(np.int64) - 128).astype(np.int8), data["y"][:samples].astype(np.int64)


def samples_for(name: str, count: int) -> dict[str, np.ndarray]:
    path = shared_file(f"{name}.onnx")
    tensor = read_workload(path).network.input
    random = np.random.default_rng(0)
    if name == "pretrainedResnet_quant_tf2onnx":
        return {tensor: images(count)[0]}
    if name == "kws_ref_model_tf2onnx":
        return {tensor: random.integers(-128, 128, (count, 49, 10, 1)).astype(np.int8)}
    return {tensor: random.normal(0, 2, (count, 1960)).astype(np.float32)}
