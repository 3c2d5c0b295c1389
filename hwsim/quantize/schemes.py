"""Which quantization each tensor of a network gets, as a specification says for all layers and for single ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from hwsim.config.parts import Part
from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError, did_you_mean
from hwsim.network.network import Network
from hwsim.network.operator import Operator
from hwsim.network.operators.attention import ActivationProduct
from hwsim.network.operators.depth_groups import DepthSum
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import GridRule


@dataclass(frozen=True, slots=True)
class ActivationScheme:
    """How an activation tensor is quantized: the rule of its grid, and what finds its range."""

    grid: GridRule
    calibrator: Part


@dataclass(frozen=True, slots=True)
class WeightScheme:
    """How a weight is quantized; the channels of a weight with groups are those of every group."""

    grid: GridRule
    granularity: Literal["per_tensor", "per_channel"]
    calibrator: Part
    codebook_entries: int | None = None

    @property
    def index_bits(self) -> int | None:
        """Width of an index into the table of weights, None without one."""
        return None if self.codebook_entries is None else (self.codebook_entries - 1).bit_length()


def weight_schemes(network: Network, spec: QuantizationSpec, weight_bits: int) -> dict[str, WeightScheme]:
    """Return the scheme of every matrix product's weight, by layer name."""
    layers = dict.fromkeys(operator.layer for operator in products(network))
    return {layer: _weight_scheme(layer, spec, weight_bits) for layer in layers}


def products(network: Network) -> list[MatmulOperator]:
    """Return a network's matrix products by weights, in order."""
    return [one for one in network.operators if isinstance(one, MatmulOperator) and one.has_weights]


def _weight_scheme(layer: str, spec: QuantizationSpec, weight_bits: int) -> WeightScheme:
    weights = spec.weights_of(layer)
    word = IntFormat(spec.of_layer(layer).weight_bits or weight_bits, weights.signed, narrow=weights.is_narrow)
    grid = GridRule(word, weights.symmetric, power_of_two=weights.scale == "power_of_two")
    granularity: Literal["per_tensor", "per_channel"] = (
        "per_tensor" if weights.granularity == "per_tensor" else "per_channel"
    )
    return WeightScheme(grid, granularity, weights.calibrator, weights.codebook_entries)


def activation_schemes(
    network: Network, spec: QuantizationSpec, *, weight_bits: int, activation_bits: int
) -> dict[str, ActivationScheme]:
    """Return the scheme of every activation tensor, as the layers that read it want it.

    Tensors that share one quantization (the input and output of a pooling) share one scheme; what no layer reads,
    such as the network's output, has the general one. What enters the array in place of weights has no more than
    ``weight_bits``.

    Raises:
        ConfigError: layers that read one tensor want different schemes; one line for each tensor.
    """
    homes = grid_homes(network)
    wanted: dict[str, dict[str, ActivationScheme]] = {}
    for operator in _readers_of_codes(network):
        scheme = activation_scheme(operator.layer, spec, activation_bits)
        for tensor in operator.inputs:
            wanted.setdefault(homes[tensor], {})[operator.layer] = scheme
    problems = [
        f"tensor {home}: layers {', '.join(of_layers)} read it, and quantization.layers gives them different "
        "activations; allowed: the same for all"
        for home, of_layers in wanted.items()
        if len(set(map(str, of_layers.values()))) > 1
    ]
    if problems:
        raise ConfigError(problems)
    general = activation_scheme("", spec, activation_bits)
    chosen = {home: next(iter(wanted[home].values())) if home in wanted else general for home in homes.values()}
    for home in {homes[one.weight] for one in network.operators if isinstance(one, ActivationProduct)}:
        chosen[home] = _narrowed(chosen[home], weight_bits)
    return {tensor: chosen[home] for tensor, home in homes.items()}


def _narrowed(scheme: ActivationScheme, most_bits: int) -> ActivationScheme:
    word = scheme.grid.format
    narrow = replace(word, bits=min(word.bits, most_bits))
    return replace(scheme, grid=replace(scheme.grid, format=narrow))


def activation_scheme(layer: str, spec: QuantizationSpec, activation_bits: int) -> ActivationScheme:
    """Return how the activations that a layer reads are quantized."""
    activations = spec.activations_of(layer)
    word = IntFormat(
        spec.of_layer(layer).activation_bits or activation_bits, activations.signed, narrow=activations.narrow_range
    )
    grid = GridRule(word, activations.symmetric, power_of_two=activations.scale == "power_of_two")
    return ActivationScheme(grid, spec.calibrator_of(layer))


def grid_homes(network: Network) -> dict[str, str]:
    """Return for every activation tensor the one whose grid it has: its own, or that of what it is made from."""
    homes = {name: name for name in network.inputs}
    for operator in network.operators:
        source = operator.grid_source
        homes[operator.output] = operator.output if source is None else homes[source]
    return homes


def _readers_of_codes(network: Network) -> Iterator[Operator]:
    """Yield the operators whose arithmetic depends on what their input's codes stand for."""
    return (
        operator
        for operator in network.operators
        if not operator.keeps_quantization and not isinstance(operator, DepthSum)
    )


def check_layer_names(network: Network, spec: QuantizationSpec) -> None:
    """Refuse settings of layers that the network does not have, and weights of layers that have none.

    Raises:
        ConfigError: one line for each such layer.
    """
    problems = [problem for layer in spec.layers for problem in _layer_problems(network, spec, layer)]
    if problems:
        raise ConfigError(problems)


def _layer_problems(network: Network, spec: QuantizationSpec, layer: str) -> Iterator[str]:
    known = list(dict.fromkeys(operator.layer for operator in _readers_of_codes(network)))
    own = spec.of_layer(layer)
    if layer not in known:
        allowed = f"allowed: {', '.join(known) or 'none'}{did_you_mean(layer, known)}"
        yield f"quantization.layers.{layer}: workload {network.name} has no such layer to quantize; {allowed}"
        return
    has_weights = layer in [product.layer for product in products(network)]
    if not has_weights and (own.weight_bits is not None or own.weights.model_dump(exclude_none=True)):
        yield f"quantization.layers.{layer}: a layer without weights; allowed: activations, activation_bits"
