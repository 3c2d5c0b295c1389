# ruff: noqa: T201
"""Trains the shipped workloads `digits_mlp`, `digits_cnn` and `digits_lstm` and rewrites their `.npz` files.

    pip install "hwsim[train]"
    python workloads/train_digits.py
    python workloads/train_digits.py --seed 3 --out DIR     # other networks of the same shapes, as workloads in DIR

Each network is built from its hand-written `workload.yaml`, so file and weights cannot disagree. Seeds, split
and threads are fixed: with the same library versions and processor, a second run writes the same bytes.

The seeds are chosen: their networks show at once what textbooks say of quantization schemes. What depends on the seed
is whether, at 2 bits, a scale for each channel leaves more signal than one for all: with the seeds 1 to 10 in 8
perceptrons, 2 convolutional networks and 5 LSTMs, with activations of 8 bits in 10, 8 and 9; in the others neither
leaves any.
"""

from __future__ import annotations

import argparse
import math
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import yaml
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

WORKLOADS = Path(__file__).resolve().parent
SEEDS = {"digits_mlp": 3, "digits_cnn": 13, "digits_lstm": 1}
SPLIT_SEED = 7
TEST_SAMPLES = 540
CALIBRATION_SAMPLES = 256
LARGEST_PIXEL = 16.0

EPOCHS = 200
BATCH_SAMPLES = 64
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 5e-2

MAX_ROTATION_RADIANS = math.radians(10)
MAX_ZOOM = 0.1
MAX_SHIFT_PIXELS = 0.75


Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits as `(sample, channel, row, column)` float32 images in [0, 1], split once.

    The calibration images are some of the training images; no test image is among either.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    calibration_images: Tensor


class FlattenChannelsLast(nn.Module):
    """Flattens `(sample, channel, row, column)` in the channels-last order: row, column, channel."""

    def forward(self, images: Tensor) -> Tensor:
        """Returns `(sample, row * column * channel)`."""
        return images.permute(0, 2, 3, 1).flatten(1)


class LastHidden(nn.Module):
    """An LSTM over the rows of an image that hands its last hidden state on; torch's gates are in hwsim's order."""

    def __init__(self, row_pixels: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(row_pixels, units, batch_first=True)
        with torch.no_grad():
            self.lstm.bias_ih_l0[units : 2 * units] = 1.0  # forget gates start open

    def forward(self, images: Tensor) -> Tensor:
        """Returns `(sample, unit)` for `(sample, 1, row, column)`."""
        return self.lstm(images.squeeze(1))[1][0][0]

    def arrays(self) -> dict[str, Tensor]:
        """The parameters under a native workload's keys; torch adds two biases."""
        lstm = self.lstm
        return {
            "input_weight": lstm.weight_ih_l0.T,
            "recurrent_weight": lstm.weight_hh_l0.T,
            "bias": lstm.bias_ih_l0 + lstm.bias_hh_l0,
        }


def main() -> None:
    """Trains every network, writes its arrays and prints its float accuracies."""
    parser = argparse.ArgumentParser(description="Trains the shipped workloads on handwritten digits.")
    parser.add_argument("--seed", type=int, help=f"of weights and order; those of the shipped networks: {SEEDS}")
    parser.add_argument("--out", type=Path, default=WORKLOADS, help="folder for the workloads; default: where they are")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = split_digits()
    for name, shipped_seed in SEEDS.items():
        source, folder = WORKLOADS / name / "workload.yaml", chosen.out / name
        workload = yaml.safe_load(source.read_text(encoding="utf-8"))
        network = trained_network(workload, digits, shipped_seed if chosen.seed is None else chosen.seed)
        arrays = network_arrays(network) | data_arrays(workload, digits)
        folder.mkdir(parents=True, exist_ok=True)
        if folder != source.parent:
            shutil.copy(source, folder)
        write_npz(folder / workload["arrays"], arrays)
        train = accuracy(network, digits.train_images, digits.train_labels)
        test = accuracy(network, digits.test_images, digits.test_labels)
        print(f"{name}: float accuracy {train:.4f} train, {test:.4f} test")


def split_digits() -> Digits:
    """Loads the 1797 digits and splits them, each part with the same share of every class."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / LARGEST_PIXEL, dtype=torch.float32).reshape(-1, 1, 8, 8)
    targets = torch.tensor(labels, dtype=torch.int64)
    samples = np.arange(len(labels))
    train, test = train_test_split(samples, test_size=TEST_SAMPLES, stratify=labels, random_state=SPLIT_SEED)
    train_labels = labels[train]
    calibration, _ = train_test_split(
        train, train_size=CALIBRATION_SAMPLES, stratify=train_labels, random_state=SPLIT_SEED
    )
    return Digits(images[train], targets[train], images[test], targets[test], images[calibration])


def trained_network(workload: dict[str, Any], digits: Digits, seed: int) -> nn.Sequential:
    """Builds a network from random weights of a seed and trains it."""
    torch.manual_seed(seed)
    return trained(build_network(workload, digits.train_images[:1]), digits)


def trained(network: Network, digits: Digits) -> Network:
    """Trains by AdamW on augmented images, in evaluation mode when returned."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * math.ceil(len(digits.train_images) / BATCH_SAMPLES)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps)
    loss_function = nn.CrossEntropyLoss()
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(digits.train_images)).split(BATCH_SAMPLES):
            logits = network(augmented(digits.train_images[batch]))
            loss = loss_function(logits, digits.train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def build_network(workload: dict[str, Any], example: Tensor) -> nn.Sequential:
    """Builds the file's layers under their names; `example`, one image, settles their input channels."""
    row_pixels = workload["input_shape"][-1]
    modules = OrderedDict((layer["name"], build_layer(layer, row_pixels)) for layer in workload["layers"])
    if len(workload["input_shape"]) == 1:
        modules = OrderedDict(pixels=FlattenChannelsLast(), **modules)
    network = nn.Sequential(modules).eval()
    network(example)
    return network


def build_layer(layer: dict[str, Any], row_pixels: int) -> nn.Module:
    """Translates one layer of a `workload.yaml`; raises ValueError for a type these networks do not use."""
    match layer["type"]:
        case "lstm" if not layer.get("return_sequences", False):
            return LastHidden(row_pixels, layer["units"])
        case "dense":
            return nn.LazyLinear(layer["units"])
        case "conv2d":
            geometry = layer["filters"], layer["kernel"], layer["stride"], layer["padding"]
            return nn.LazyConv2d(*geometry, bias=layer.get("bias", True))
        case "batch_norm":
            return nn.LazyBatchNorm2d(eps=layer["epsilon"])
        case "max_pool2d":
            return nn.MaxPool2d(layer["pool"], layer["stride"])
        case "relu" | "flatten" as kind:
            return nn.ReLU() if kind == "relu" else FlattenChannelsLast()
        case unknown:
            raise ValueError(f"layer {layer['name']!r}: cannot train a layer of type {unknown!r}")


def augmented(images: Tensor) -> Tensor:
    """Rotates, zooms and shifts each image a little, at random; pixels from outside are 0."""
    samples = len(images)
    angle = MAX_ROTATION_RADIANS * symmetric_random(samples)
    zoom = 1 + MAX_ZOOM * symmetric_random(samples)
    half_width = images.shape[-1] / 2  # affine_grid's coordinates span -1 to 1
    shift = MAX_SHIFT_PIXELS / half_width * symmetric_random(samples, 2)
    cosine, sine = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    transform = torch.cat([rotation, shift[:, :, None]], 2)
    grid = functional.affine_grid(transform, images.shape, align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def symmetric_random(*shape: int) -> Tensor:
    """Uniform numbers from -1 to 1."""
    return 2 * torch.rand(shape) - 1


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The fraction of images whose largest logit is the label's."""
    return float((network(images).argmax(1) == labels).double().mean())


def network_arrays(network: nn.Sequential) -> dict[str, np.ndarray]:
    """The float32 parameters under a native workload's keys and in its layouts: output channels last."""
    tensors: dict[str, Tensor | None] = {}
    for name, module in network.named_children():
        match module:
            case nn.Linear():
                tensors |= {f"{name}.weight": module.weight.T, f"{name}.bias": module.bias}
            case nn.Conv2d():
                tensors |= {f"{name}.weight": module.weight.permute(2, 3, 1, 0), f"{name}.bias": module.bias}
            case LastHidden():
                tensors |= {f"{name}.{key}": tensor for key, tensor in module.arrays().items()}
            case nn.BatchNorm2d():
                tensors |= {f"{name}.gamma": module.weight, f"{name}.beta": module.bias}
                tensors |= {f"{name}.mean": module.running_mean, f"{name}.variance": module.running_var}
    return {key: contiguous_array(tensor) for key, tensor in tensors.items() if tensor is not None}


def data_arrays(workload: dict[str, Any], digits: Digits) -> dict[str, np.ndarray]:
    """The calibration and test samples in the network's input shape, and the test labels as uint8."""
    keys = workload["data"]
    shape = (-1, *workload["input_shape"])  # with one channel, channels last is a reshape
    return {
        keys["calibration"]: contiguous_array(digits.calibration_images.reshape(shape)),
        keys["inputs"]: contiguous_array(digits.test_images.reshape(shape)),
        keys["labels"]: contiguous_array(digits.test_labels.to(torch.uint8)),
    }


def contiguous_array(tensor: Tensor) -> np.ndarray:
    """A copy in C order: the order of the file's bytes."""
    return np.ascontiguousarray(tensor.detach().numpy())


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes the file whole or not at all; equal arrays give equal bytes (NumPy dates every member 1980)."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
