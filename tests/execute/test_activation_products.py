"""Products of two activations: the second operand's codes come with each sample, in place of weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layers import DATAFLOWS, random_array

import hwsim
from hwsim.array.params import Dataflow
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.errors import AccumulatorOverflowError, UnsupportedError
from hwsim.execute.integer import IntegerRun, run_integer
from hwsim.network.activation_products import ActivationMatmulStep
from hwsim.network.operator import LoweringOptions
from hwsim.network.operators.attention import ActivationMatmul
from hwsim.network.tensor import Tensor
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.quantization import Quantization
from hwsim.readers.read import read_workload

SEEDS = st.integers(0, 1 << 32)
MANY = settings(max_examples=60, deadline=None)
AMPLE = 16
SAMPLES = 3
NET = """\
schema_version: 1
input_shape: [7, 12]
layers:
  - {name: query, type: dense, units: 12}
  - {name: relu_q, type: relu}
  - {name: key, type: dense, inputs: [input], units: 12}
  - {name: relu_k, type: relu}
  - {name: scores, type: matmul, inputs: [relu_q, relu_k], heads: 2, transpose: true, scale: 0.5}
  - {name: attention, type: softmax, heads: 2}
  - {name: context, type: matmul, inputs: [attention, relu_k], heads: 2}
"""


class Product:
    """A random product of ``heads`` by their tensors, with codes of both operands, (samples, rows, columns)."""

    def __init__(self, seed: int, *, bits: int = 4) -> None:
        random = np.random.default_rng(seed)
        self.heads, rows, depth, columns = (int(size) for size in random.integers(1, 8, 4))
        transposed = bool(random.random() < 0.5)
        right = (columns, self.heads * depth) if transposed else (depth, self.heads * columns)
        shapes = {"x": (rows, self.heads * depth), "w": right}
        self.codes, tensors = {}, {}
        for name, shape in shapes.items():
            word = IntFormat(bits, signed=bool(random.random() < 0.6))
            zero_point = int(random.integers(word.min, word.max + 1)) if random.random() < 0.8 else 0
            grid = Quantization(np.asarray(random.uniform(0.05, 0.2)), np.asarray(zero_point), word)
            tensors[name] = Tensor(name, shape, quantization=grid)
            self.codes[name] = random.integers(word.min, word.max + 1, (SAMPLES, *shape))
        output = Quantization(np.asarray(0.1), np.asarray(3), IntFormat(8))
        self.tensors = tensors | {"y": Tensor("y", (rows, self.heads * columns), quantization=output)}
        self.operator = ActivationMatmul(
            "layer", ("x", "w"), "y", "w", groups=self.heads, scale=0.5, transposed=transposed
        )

    def lower(self, **options: Any) -> ActivationMatmulStep:
        return self.operator.lower(self.tensors, LoweringOptions(**options))

    def steps(self, name: str) -> np.ndarray:
        """Return codes less their zero point."""
        grid = self.tensors[name].quantization
        assert grid is not None
        return self.codes[name] - int(grid.zero_point)

    def head(self, name: str, number: int) -> np.ndarray:
        """Return a head's part of an operand less its zero point, (samples, rows, columns)."""
        found = self.steps(name)
        width = found.shape[2] // self.heads
        part = found[:, :, number * width : (number + 1) * width]
        return part.swapaxes(1, 2) if name == "w" and self.operator.transposed else part

    def sums(self) -> np.ndarray:
        """Return sum((x - Z_x)(w - Z_w)), (samples, rows, heads x columns)."""
        return np.concatenate([self.head("x", n) @ self.head("w", n) for n in range(self.heads)], axis=2)

    def run(
        self, step: ActivationMatmulStep, dataflow: Dataflow, seed: int, *, guard_bits: int, overflow: str = "wrap"
    ) -> IntegerRun:
        params = random_array(seed, step, dataflow, guard_bits=guard_bits, overflow=overflow)
        inputs = {name: one.reshape(SAMPLES, -1) for name, one in self.codes.items()}
        return run_integer([step], {"layer": params}, inputs, keep=["y"], max_events=5)


@pytest.mark.parametrize("zero_point", ["folded", "operand"])
@MANY
@given(seed=SEEDS, dataflow=st.sampled_from(DATAFLOWS), guard_bits=st.sampled_from([3, AMPLE]))
def test_the_array_computes_each_heads_product(zero_point: str, seed: int, dataflow: Dataflow, guard_bits: int) -> None:
    """Zero points and signs of either operand, samples all at once (many guard bits) or one by one (few)."""
    product = Product(seed)
    step = product.lower(zero_point=zero_point)
    found = product.run(step, dataflow, seed, guard_bits=guard_bits)
    if not found.overflows["layer"].events:
        expected = step.requantizer.apply(product.sums())
        assert np.array_equal(found.values["y"], expected.reshape(SAMPLES, -1))


def test_the_scale_is_part_of_the_requantization() -> None:
    product = Product(1)
    x, w, y = (product.tensors[name].quantization for name in ("x", "w", "y"))
    assert x is not None
    assert w is not None
    assert y is not None
    reals = 0.5 * product.sums() * float(x.scale * w.scale)
    codes = product.run(product.lower(), Dataflow.OUTPUT_STATIONARY, 1, guard_bits=AMPLE).values["y"]
    assert np.abs(codes.reshape(reals.shape) - np.clip(reals / y.scale + y.zero_point, -128, 127)).max() <= 0.5


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@MANY
@given(seed=SEEDS, overflow=st.sampled_from(["wrap", "saturate"]))
def test_overflows_are_those_of_plain_products_of_the_same_operands(
    dataflow: Dataflow, seed: int, overflow: str
) -> None:
    """`simulate_gemm` steps registers; narrow accumulators overflow in most of these."""
    product = Product(seed)
    step = product.lower(zero_point="operand")
    params = random_array(seed, step, dataflow, guard_bits=-2, overflow=overflow)
    found = product.run(step, dataflow, seed, guard_bits=-2, overflow=overflow)
    expected, sums = 0, []
    for head in range(product.heads):
        gemms = [
            hwsim.simulate_gemm(
                product.head("x", head)[sample], product.head("w", head)[sample], rows=params.rows, cols=params.cols,
                dataflow=dataflow.value, weight_bits=params.weights.bits, activation_bits=params.activations.bits,
                guard_bits=params.accumulator.bits - params.weights.bits - params.activations.bits, overflow=overflow,
                activations_signed=params.activations.signed, weights_signed=params.weights.signed,
            )
            for sample in range(SAMPLES)
        ]  # fmt: skip
        expected += sum(len(one.overflows) for one in gemms)
        sums.append(np.stack([one.output for one in gemms]))
    assert found.overflows["layer"].events == expected
    codes = step.requantizer.apply(np.concatenate(sums, axis=2))
    assert np.array_equal(found.values["y"], codes.reshape(SAMPLES, -1))


def test_an_overflow_stops_the_run_where_it_is_an_error() -> None:
    product = Product(3)
    with pytest.raises(AccumulatorOverflowError, match=r"layer layer: accumulator of 5 bits overflows in cycle \d+"):
        product.run(product.lower(), Dataflow.OUTPUT_STATIONARY, 3, guard_bits=-3, overflow="error")


def test_sums_that_start_from_what_only_the_operands_tell_are_refused() -> None:
    product = Product(1)
    for name in ("x", "w"):
        grid = product.tensors[name].quantization
        assert grid is not None
        product.tensors[name] = replace(
            product.tensors[name], quantization=replace(grid, zero_point=np.asarray(2), format=IntFormat(4))
        )
    with pytest.raises(UnsupportedError) as refused:
        product.lower(bias="preload")
    assert str(refused.value) == (
        "layer layer: sums of a product of two activations cannot start from what only its operands tell; "
        "allowed: requantizer.bias: requantizer, or array.zero_point: operand"
    )
    assert product.lower(bias="preload", zero_point="operand").bias.max() == 0


def test_both_units_of_sums_are_counted() -> None:
    """Of one of 2 heads of (3 x 4) by (4 x 5): an add for every element of either operand."""
    grids = {name: Quantization(np.asarray(0.1), np.asarray(z), IntFormat(8)) for name, z in (("x", 1), ("w", 2))}
    shapes = {"x": (3, 8), "w": (4, 10), "y": (3, 10)}
    tensors = {name: Tensor(name, shape, quantization=grids.get(name, grids["x"])) for name, shape in shapes.items()}
    operator = ActivationMatmul("layer", ("x", "w"), "y", "w", groups=2)
    folded, operand = (operator.lower(tensors, LoweringOptions(zero_point=way)) for way in ("folded", "operand"))
    counts = folded.requantizer_counts("fixed_point", 3, 5)
    assert counts["requantizer", "row_sum_add"] == 3 * 4
    assert counts["requantizer", "column_sum_add"] == 4 * 5
    assert not {action for _, action in operand.requantizer_counts("fixed_point", 3, 5)} - {"multiply", "add", "shift"}


@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
@pytest.mark.parametrize("zero_point", ["folded", "operand"])
def test_the_machine_steps_what_transfers_bring(tmp_path: Path, dataflow: str, zero_point: str) -> None:
    """A stepped run is compared with the array's shadow, value by value and PE by PE; here scratchpads are small."""
    (tmp_path / "net.yaml").write_text(NET)
    settings = [
        f"array.dataflow={dataflow}", f"array.zero_point={zero_point}", "array.rows=4", "array.cols=4",
        "array.guard_bits=-2", "scratchpads.weights.capacity_bytes=96", "scratchpads.activations.capacity_bytes=512",
    ]  # fmt: skip
    stepped, functional = (
        hwsim.run("edge16", tmp_path / "net.yaml", random_values=5, engine=engine, overrides=settings)
        for engine in ("stepped", "functional")
    )
    assert stepped.samples == 1
    events = {one.layer: one.overflow_events for one in stepped.layer_results}
    assert events == {one.layer: one.overflow_events for one in functional.layer_results}
    assert events["scores"] > 0
    assert stepped.overflows.equals(functional.overflows)
    counts = stepped.energy.set_index(["layer", "action"])["count"]
    assert (("scores", "column_sum_add") in counts.index) is (zero_point == "folded")


def test_what_takes_the_place_of_weights_is_no_wider_than_they_are(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    spec = load_arch("edge16", ["array.weight_bits=4"])
    compiled = compile_workload(spec, read_workload(tmp_path / "net.yaml"))
    widths = {
        step.name: (step.activation_format.bits, step.weight_format.bits)
        for step in compiled.steps
        if isinstance(step, ActivationMatmulStep)
    }
    assert widths == {"scores": (8, 4), "context": (8, 4)}
