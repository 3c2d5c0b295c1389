"""Constants that several layers read: each layer has its own while it is quantized; equal ones become one again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.depth_groups import DepthProducts
from hwsim.network.operators.dynamic import DynamicProduct
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.network.operators.quantized import QuantizedOperator
from hwsim.network.tensor import Tensor


def separate_constants(network: Network) -> Network:
    """Return the network with a copy of every constant for each further layer that reads it.

    So a layer's constants can be changed and quantized without regard to others: a bias lies on the grid of its own
    product's sums. The steps of an LSTM are one layer and go on sharing.
    """
    tensors, operators = dict(network.tensors), list[Operator]()
    owners = {name: "" for one in network.operators if not _can_be_renamed(one) for name in one.constants}
    copies: dict[tuple[str, str], str] = {}
    for operator in network.operators:
        names = {}
        for name in operator.constants if _can_be_renamed(operator) else ():
            if owners.setdefault(name, operator.layer) != operator.layer:
                reader = (name, operator.layer)
                if reader not in copies:
                    copies[reader] = _copy(name, operator.layer, tensors)
                names[name] = copies[reader]
        operators.append(_renamed(operator, names))
    return replace(network, tensors=tensors, operators=tuple(operators))


def join_constants(network: Network) -> Network:
    """Return the network with one constant in place of copies of `separate_constants` that have stayed equal.

    Operators that read one weight then find it on chip. Those of another kind, or with other groups, lay it out in
    another way and keep their own; so do parts of products with a scale per group or with ranges found in a run.
    """
    first: dict[tuple[object, ...], list[str]] = {}
    operators: list[Operator] = []
    for operator in network.operators:
        names = {}
        for name in operator.constants if _can_be_renamed(operator) else ():
            tensor = network.tensors[name]
            alike = first.setdefault((tensor.copy_of or name, *_layout(operator)), [])
            same = (other for other in alike if _are_equal(network.tensors[other], tensor))
            names[name] = next(same, name)
            if names[name] == name:
                alike.append(name)
        operators.append(_renamed(operator, names))
    read = {name for operator in operators for name in (*operator.inputs, *operator.constants)}
    tensors = {name: one for name, one in network.tensors.items() if one.copy_of is None or name in read}
    return replace(network, tensors=tensors, operators=tuple(operators))


def _can_be_renamed(operator: Operator) -> bool:
    """Tell whether `_renamed` knows all places where an operator names its constants."""
    is_part = isinstance(operator, DepthProducts | DynamicProduct)
    return isinstance(operator, MatmulOperator | QuantizedOperator) and not is_part


def _renamed(operator: Operator, names: Mapping[str, str]) -> Operator:
    """Return an operator that reads constants of other names, as ``names`` has them."""
    if all(old == new for old, new in names.items()):
        return operator
    if isinstance(operator, MatmulOperator):
        bias = None if operator.bias is None else names.get(operator.bias, operator.bias)
        return replace(operator, weight=names.get(operator.weight, operator.weight), bias=bias)
    assert isinstance(operator, QuantizedOperator)  # noqa: S101  (see _can_be_renamed)
    return replace(operator, operands=tuple(names.get(name, name) for name in operator.operands))


def _copy(name: str, layer: str, tensors: dict[str, Tensor]) -> str:
    """Enter a copy of a constant for a layer; return its name."""
    copy = f"{name}.{layer}"
    while copy in tensors:
        copy += ".copy"
    tensors[copy] = replace(tensors[name], name=copy, copy_of=tensors[name].copy_of or name)
    return copy


def _layout(operator: Operator) -> tuple[object, ...]:
    return (type(operator), operator.groups) if isinstance(operator, MatmulOperator) else (type(operator),)


def _are_equal(one: Tensor, other: Tensor) -> bool:
    """Tell whether memory holds the same for two constants, and it means the same."""
    if (one.shape, one.index_bits, one.decoding) != (other.shape, other.index_bits, other.decoding):
        return False
    return _have_one_grid(one, other) and _have_one_value(one, other)


def _have_one_grid(one: Tensor, other: Tensor) -> bool:
    if one.quantization is None or other.quantization is None:
        return one.quantization is other.quantization
    return one.quantization.axis == other.quantization.axis and not one.quantization.differs(other.quantization)


def _have_one_value(one: Tensor, other: Tensor) -> bool:
    if one.data is None or other.data is None:
        return one.data is other.data
    return one.data is other.data or np.array_equal(one.data, other.data, equal_nan=True)
