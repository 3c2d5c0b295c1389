"""Public networks and the samples that they are run on."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from shared_files import shared

from hwsim.readers.read import read_workload


def model(name: str) -> Path:
    return shared("models", f"{name}.tflite")


def images(samples: int) -> tuple[np.ndarray, np.ndarray]:
    with np.load(shared("models", "data", "cifar10_test_first761.npz"), allow_pickle=False) as data:
        return (data["x"][:samples].astype(np.int64) - 128).astype(np.int8), data["y"][:samples].astype(np.int64)


def wide_images(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Images as 16-bit codes of the pixels 0 to 255: the scale is 0.00748..., so that the brightest saturate."""
    narrow, labels = images(samples)
    grid = read_workload(model("resnet8_static_wi8_ai16")).network.tensors["0"].quantization
    assert grid is not None
    return grid.quantize(narrow.astype(np.float64) + 128).astype(np.int16), labels


def real_images(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Images as the float networks take them: the pixels, 0 to 255."""
    narrow, labels = images(samples)
    return (narrow.astype(np.float32) + 128), labels


def digits(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits as int8: the scale is 1/255, the zero point -128."""
    pixels, labels = (
        np.frombuffer(gzip.decompress(shared("models", "data", f"mnist_t10k-{name}").read_bytes()), np.uint8)
        for name in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
    )
    images = pixels[16:].reshape(-1, 28, 28)[:samples].astype(np.int64) - 128
    return images.astype(np.int8), labels[8:][:samples].astype(np.int64)
