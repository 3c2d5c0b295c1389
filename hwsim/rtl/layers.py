"""Layers of real networks for the RTL: the operands, requantizer and table that a layer's first batch brings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.array.params import ArrayParams, GemmShape, array_params
from hwsim.compilation import Compiled, compile_workload, lowering_options
from hwsim.config.arch import ArchSpec
from hwsim.errors import CheckFailedError, ConfigError, did_you_mean
from hwsim.execute.integer import run_integer
from hwsim.network.activation_products import ActivationMatmulStep, bound
from hwsim.network.elementwise_steps import LutStep
from hwsim.network.operator import quantization_of
from hwsim.network.steps import MatmulStep
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import FUNCTIONS, Lut, build_lut
from hwsim.numerics.quantization import GridRule, Quantization, from_range
from hwsim.numerics.requantize import Requantizer, build_requantizer
from hwsim.quantize.post_training import function_quantization
from hwsim.rtl.export import export_rtl
from hwsim.rtl.lanes import check_interpolation
from hwsim.rtl.lockstep import Agreement, compare_gemm
from hwsim.samples import Samples
from hwsim.simulate import together

# runs every layer's own Makefile; a layer that fails fails the whole
LAYERS_MAKEFILE = """\
# `make` runs every layer with every installed simulator and compares it with its golden trace.
LAYERS := $(patsubst %/Makefile,%,$(wildcard */Makefile))

.PHONY: all clean $(LAYERS)

all: $(LAYERS)

$(LAYERS):
\t@echo "$@"; $(MAKE) --no-print-directory -C $@

clean:
\t@for layer in $(LAYERS); do $(MAKE) --no-print-directory -C $$layer clean; done
"""


@dataclass(frozen=True, slots=True, eq=False)
class LayerProduct:
    """A layer's matrix product, or that of one of its groups, with the units behind the array.

    ``activations`` (out_rows, depth) and ``weights`` (depth, out_cols) are what enters the array; ``bias``
    (out_cols,) holds the constants of the zero points too.
    """

    layer: str
    params: ArrayParams
    activations: IntArray
    weights: IntArray
    requantizer: Requantizer
    bias: IntArray
    lut: Lut


def layer_products(spec: ArchSpec, chosen: Samples, layer: str | None = None) -> list[LayerProduct]:
    """Return every group's product of the layers (or of one of them), for the first sample or batch.

    A batch's products are those that its run has: the rows of all its samples, or of activations all their groups.
    Codes that go through no table in the network go through a sigmoid here, so that the unit is compared too.

    Raises:
        ConfigError: no such layer, layers that use what the RTL does not have, or fewer samples than a batch has.
    """
    compiled = compile_workload(spec, chosen.workload)
    compiled.network.check_values()
    chosen.check_batch(compiled.batch)
    batched = compiled.steps_of(compiled.batch)
    steps = [step for step in batched if isinstance(step, MatmulStep)]
    names = [step.name for step in steps]
    if layer is not None and layer not in names:
        raise ConfigError(f"no layer '{layer}'; allowed: {', '.join(names)}{did_you_mean(layer, names)}")
    steps = [step for step in steps if layer in (None, step.name)]
    problems = [problem for step in steps for problem in _missing_units(step)]
    if problems:
        raise ConfigError(problems)
    codes = together(compiled.codes(chosen.part(slice(compiled.batch)).inputs), compiled.batch)
    inputs = sorted({name for step in steps for name in step.inputs} - set(codes))
    values = run_integer(batched, compiled.params, codes, keep=inputs).values | codes
    return [
        one
        for step in steps
        for one in _groups(
            spec, compiled, bound(step, [values[name][0] for name in step.inputs]), values[step.inputs[0]]
        )
    ]


def _missing_units(step: MatmulStep) -> Iterator[str]:
    """Yield what a layer needs and the RTL does not have."""
    if not step.requantizer.scheme.multiplies:
        allowed = "granularity per_tensor or per_channel"
        yield f"layer {step.name}: the RTL requantizes every sum; allowed: {allowed}"
    if step.bias_mode == "preload":
        yield f"layer {step.name}: the RTL does not preload biases; allowed: requantizer.bias: requantizer"
    if step.adds_row_sums:
        allowed = "symmetric weights, or array.zero_point: operand"
        yield f"layer {step.name}: the RTL has no row-sum unit; allowed: {allowed}"
    if isinstance(step, ActivationMatmulStep) and step.adds_column_sums:
        yield f"layer {step.name}: the RTL has no column-sum unit; allowed: array.zero_point: operand"


def _groups(spec: ArchSpec, compiled: Compiled, step: MatmulStep, codes: IntArray) -> Iterator[LayerProduct]:
    lut = _table_behind(spec, compiled, step)
    for group in range(step.groups):
        first = group * step.shape.out_cols
        yield LayerProduct(
            layer=step.name if step.groups == 1 else f"{step.name}_{group}",
            params=compiled.params[step.name],
            activations=step.activation_operands(codes, group)[0],
            weights=step.weight_operands(group),
            requantizer=step.requantizer.columns(slice(first, first + step.shape.out_cols)),
            bias=step.bias[group],
            lut=lut,
        )


def _table_behind(spec: ArchSpec, compiled: Compiled, step: MatmulStep) -> Lut:
    """Return the table that the product's codes go through next, or a sigmoid of the machine's table size."""
    for after in compiled.steps:
        if isinstance(after, LutStep) and after.inputs == (step.output,) and isinstance(after.lut, Lut):
            return after.lut
    return sigmoid_table(spec, quantization_of(compiled.network.tensors[step.output]))


def sigmoid_table(spec: ArchSpec, codes: Quantization) -> Lut:
    """Return the sigmoid as the machine's table has it, for codes of this quantization.

    Raises:
        ConfigError: the machine's table has no RTL.
    """
    check_interpolation(lowering_options(spec).lut)
    output = function_quantization("sigmoid", GridRule(codes.format, symmetric=False))
    return build_lut(FUNCTIONS["sigmoid"], codes, output, lowering_options(spec).lut)


def compare_products(products: Iterable[LayerProduct], simulator: str | None = None) -> dict[str, Agreement]:
    """Run products on the stepped engine and on the RTL; return what agreed, by layer.

    Raises:
        CheckFailedError: they differ; the text names layer and place.
        ConfigError: something that has no RTL, or no simulator.
    """
    agreements = {}
    for one in products:
        try:
            agreements[one.layer] = compare_gemm(
                one.params,
                one.activations,
                one.weights,
                requantizer=one.requantizer,
                lut=one.lut,
                bias=one.bias,
                simulator=simulator,
            )
        except CheckFailedError as error:
            raise CheckFailedError(f"layer {one.layer}: {error}") from None
    return agreements


def export_layers(spec: ArchSpec, chosen: Samples, folder: Path) -> tuple[Path, ...]:
    """Write a folder for each layer (and group) with RTL, memory images and golden trace; ``make`` runs all of them.

    Raises:
        ConfigError: something that has no RTL; nothing is written then.
    """
    products = layer_products(spec, chosen)
    for one in products:
        export_rtl(
            folder / one.layer,
            one.params,
            one.activations,
            one.weights,
            requantizer=one.requantizer,
            lut=one.lut,
            bias=one.bias,
        )
    makefile = folder / "Makefile"
    makefile.write_text(LAYERS_MAKEFILE, encoding="utf-8")
    return (*(folder / one.layer for one in products), makefile)


def random_product(spec: ArchSpec, shape: GemmShape, seed: int) -> LayerProduct:
    """Return random full-range operands of a shape, scaled so that the codes fill their format."""
    random = np.random.default_rng(seed)
    array, words = spec.array, spec.quantization
    params = array_params(
        array.rows,
        array.cols,
        array.dataflow,
        weight_bits=array.weight_bits,
        activation_bits=array.activation_bits,
        guard_bits=array.guard_bits,
        overflow=array.overflow,
        activations_signed=words.activations.signed,
        weights_signed=words.weights.signed,
        fold_overlap=array.fold_overlap,
    )
    activations, weights = params.activations, params.weights
    left = random.integers(activations.min, activations.max + 1, (shape.out_rows, shape.depth))
    right = random.integers(weights.min, weights.max + 1, (shape.depth, shape.out_cols))
    largest = float(np.abs(left @ right).max(initial=1))
    codes = from_range(-largest, largest, activations, symmetric=False)
    scales = random.uniform(0.5, 1.0, shape.out_cols)
    requantizer = build_requantizer(1.0, scales, codes, "none", lowering_options(spec).requantizer)
    bias = random.integers(-1000, 1001, shape.out_cols)
    table = sigmoid_table(spec, from_range(-8.0, 8.0, activations, symmetric=False))
    return LayerProduct("gemm", params, left, right, requantizer, bias, table)
