# ruff: noqa: T201
"""Trains the shipped workload `digits_transformer` and rewrites its `.npz` file.

    pip install "hwsim[train]"
    python workloads/train_digits_transformer.py

Data, optimizer and schedule are those of `train_digits.py`; the network is built from the hand-written
`workload.yaml`, layer by layer. With the same library versions and processor, a second run writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from train_digits import (
    WORKLOADS,
    accuracy,
    contiguous_array,
    data_arrays,
    split_digits,
    trained,
    write_npz,
)

NAME = "digits_transformer"
SEED = 7


class PositionEmbedding(nn.Module):
    """A learned array that is added to every sample."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.embedding = nn.Parameter(0.1 * torch.randn(*shape))

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns `(sample, token, channel)` like its input."""
        return tokens + self.embedding


class Heads(nn.Module):
    """The product of two tensors, head by head; the second one is transposed where the layer says so."""

    def __init__(self, layer: dict[str, Any]) -> None:
        super().__init__()
        self.heads, self.scale = layer["heads"], layer.get("scale", 1.0)
        self.transposes = layer.get("transpose", False)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Returns `(sample, row, head * column)`."""
        lefts, rights = (one.unflatten(2, (self.heads, -1)).transpose(1, 2) for one in (left, right))
        products = lefts @ (rights.transpose(2, 3) if self.transposes else rights)
        return self.scale * products.transpose(1, 2).flatten(2)


class HeadsSoftmax(nn.Module):
    """Softmax over each head's part of the last axis."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, scores: Tensor) -> Tensor:
        """Returns `(sample, row, head * column)` like its input."""
        return scores.unflatten(2, (self.heads, -1)).softmax(3).flatten(2)


class Add(nn.Module):
    """The sum of two tensors."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns their sum."""
        return first + second


class Graph(nn.Module):
    """The layers of a `workload.yaml`; each reads the layers that it names, or the one before."""

    def __init__(self, layers: list[dict[str, Any]], example: Tensor) -> None:
        super().__init__()
        self.sources: dict[str, list[str]] = {}
        values, last = {"input": example}, "input"
        for layer in layers:
            name = layer["name"]
            self.sources[name] = layer.get("inputs", [last])
            operands = [values[source] for source in self.sources[name]]
            module = build_layer(layer, operands[0].shape[1:])
            self.add_module(name, module)
            values[name], last = module(*operands), name

    def forward(self, images: Tensor) -> Tensor:
        """Returns the last layer's `(sample, class)` for `(sample, 1, row, column)`."""
        found = images.squeeze(1)
        values = {"input": found}
        for name, module in self.named_children():
            found = values[name] = module(*(values[source] for source in self.sources[name]))
        return found


def build_layer(layer: dict[str, Any], shape: Sequence[int]) -> nn.Module:
    """Translates one layer that reads `shape`; raises ValueError for a type this network does not use."""
    match layer["type"]:
        case "dense":
            return nn.Linear(shape[-1], layer["units"])
        case "position_embedding":
            return PositionEmbedding(shape)
        case "layer_norm":
            return nn.LayerNorm(shape[-1], eps=layer.get("epsilon", 1e-5))
        case "matmul" | "softmax" as kind:
            return Heads(layer) if kind == "matmul" else HeadsSoftmax(layer["heads"])
        case "gelu" | "add" | "flatten" as kind:
            return {"gelu": nn.GELU, "add": Add, "flatten": nn.Flatten}[kind]()
        case unknown:
            raise ValueError(f"layer {layer['name']!r}: cannot train a layer of type {unknown!r}")


def graph_arrays(network: Graph) -> dict[str, np.ndarray]:
    """The float32 parameters under a native workload's keys and in its layouts: output channels last."""
    tensors: dict[str, Tensor] = {}
    for name, module in network.named_children():
        match module:
            case nn.Linear():
                tensors |= {f"{name}.weight": module.weight.T, f"{name}.bias": module.bias}
            case nn.LayerNorm():
                tensors |= {f"{name}.gamma": module.weight, f"{name}.beta": module.bias}
            case PositionEmbedding():
                tensors[f"{name}.embedding"] = module.embedding
    return {key: contiguous_array(tensor) for key, tensor in tensors.items()}


def main() -> None:
    """Trains the network, writes its arrays and prints its float accuracies."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = split_digits()
    folder = WORKLOADS / NAME
    workload = yaml.safe_load((folder / "workload.yaml").read_text(encoding="utf-8"))
    torch.manual_seed(SEED)
    network = trained(Graph(workload["layers"], digits.train_images[:1, 0]), digits)
    write_npz(folder / workload["arrays"], graph_arrays(network) | data_arrays(workload, digits))
    train = accuracy(network, digits.train_images, digits.train_labels)
    test = accuracy(network, digits.test_images, digits.test_labels)
    print(f"{NAME}: float accuracy {train:.4f} train, {test:.4f} test")


if __name__ == "__main__":
    main()
