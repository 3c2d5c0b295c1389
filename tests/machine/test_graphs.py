"""Networks that are graphs: branches that meet again, tensors that several steps want, several inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from small_networks import conv, dense, flatten, machine, pool, workload

from hwsim.array.gemm import make_engine
from hwsim.array.params import ArrayParams
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.counts import Counts
from hwsim.execute.integer import run_integer
from hwsim.execute.liveness import last_reads
from hwsim.machine.machine import LayerRun, SampleData, run_machine
from hwsim.mapping.plan import LayerPlan
from hwsim.mapping.planner import NetworkSteps, plan_network
from hwsim.network.elementwise_steps import ElementwiseStep
from hwsim.network.operators.elementwise import Rectify
from hwsim.network.steps import Step
from hwsim.quantize.fuse import fuse

INT8_BITS = 8


@dataclass(frozen=True, eq=False)
class SumStep(ElementwiseStep):
    """The sum of two tensors, halved."""

    def compute(self, *codes: np.ndarray) -> np.ndarray:
        return (codes[0] + codes[1]) // 2

    @property
    def operations(self) -> int:
        return self.outputs

    @property
    def counts(self) -> Counts:
        return Counts({("vector_unit", "add"): self.outputs})


def sum_step(name: str, *inputs: str, shape: tuple[int, ...]) -> SumStep:
    return SumStep(name, inputs, name, shape)


def branches() -> tuple[Compiled, list[Step]]:
    """x → a → b, then a + b → pool → flat; what a wrote is read twice."""
    compiled = compile_workload(
        machine(), workload((6, 6, 2), conv("a", "x", 4, padding="same"), conv("b", "a", 4, padding="same"))
    )
    tail = compile_workload(machine(), workload((6, 6, 4), pool("pool", "x"), flatten("flat", "pool"))).steps
    meeting = sum_step("meet", "a", "b", shape=(6, 6, 4))
    return compiled, [*compiled.steps, meeting, replace(tail[0], inputs=("meet",)), tail[1]]


def plan(
    steps: Sequence[Step], params: dict[str, ArrayParams], outputs: Sequence[str], spec: ArchSpec, **inputs: int
) -> tuple[LayerPlan, ...]:
    bits = {name: INT8_BITS * elements for name, elements in inputs.items()}
    bits |= {step.output: INT8_BITS * step.outputs for step in steps}
    return plan_network(NetworkSteps(steps, params, bits, outputs), spec)


def summary(layers: Sequence[LayerPlan]) -> list[tuple[str, tuple[str, ...], list[str], str]]:
    return [(layer.name, layer.inputs, [step.name for step in layer.after], layer.output) for layer in layers]


def test_a_layer_reads_all_its_inputs_and_takes_the_steps_that_alone_read_it() -> None:
    compiled, steps = branches()
    layers = plan(steps, dict(compiled.params), ["flat"], machine(), x=72)
    assert summary(layers) == [
        ("a", ("x",), [], "a"),
        ("b", ("a",), [], "b"),
        ("meet", ("a", "b"), ["meet", "pool"], "pool"),
    ]
    assert (layers[2].input_bits, layers[2].output_bits) == (2 * 144 * 8, 36 * 8)


def test_an_output_of_the_network_is_written_even_if_a_step_could_be_fused_after_it() -> None:
    compiled, steps = branches()
    layers = plan(steps, dict(compiled.params), ["meet", "flat"], machine(), x=72)
    assert summary(layers)[2:] == [("meet", ("a", "b"), ["meet"], "meet"), ("pool", ("meet",), ["pool"], "pool")]


def test_a_step_is_fused_after_a_product_further_up() -> None:
    """pool reads a alone: it joins a's layer, though b's layer lies between them in the order of steps."""
    first = compile_workload(machine(), workload((6, 6, 2), conv("a", "x", 4)))
    other = compile_workload(machine(), workload((6, 6, 2), conv("b", "x", 4)))
    after = compile_workload(machine(), workload((4, 4, 4), pool("p", "x"))).steps[0]
    steps = [*first.steps, *other.steps, replace(after, inputs=("a",)), sum_step("meet", "p", "b", shape=(2, 2, 4))]
    layers = plan(steps, {**first.params, **other.params}, ["meet"], machine(), x=72)
    assert summary(layers) == [
        ("a", ("x",), ["p"], "p"),
        ("b", ("x",), [], "b"),
        ("meet", ("p", "b"), ["meet"], "meet"),
    ]


def run_both(steps: Sequence[Step], compiled: Compiled, outputs: Sequence[str], **codes: np.ndarray) -> list[LayerRun]:
    """Run on the machine, and compare every layer with the array's shadow."""
    spec = machine()
    sizes = {name: values.size for name, values in codes.items()}
    layers = plan(steps, dict(compiled.params), outputs, spec, **sizes)
    runs = run_machine(layers, spec, SampleData(codes, make_engine("stepped"), 100))
    rows = {name: values[np.newaxis] for name, values in codes.items()}
    shadow = run_integer(steps, compiled.params, rows, keep=[one.plan.output for one in runs])
    for one in runs:
        assert np.array_equal(one.output, shadow.values[one.plan.output][0]), one.plan.name
    assert [one.total_cycles for one in run_machine(layers, spec)] == [one.total_cycles for one in runs]
    return runs


def test_branches_meet_on_the_machine_as_without_its_clock() -> None:
    compiled, steps = branches()
    runs = run_both(steps, compiled, ["flat"], x=np.random.default_rng(0).integers(-128, 128, 72))
    assert len(np.unique(runs[-1].output)) > 10
    assert runs[-1].counts["dram", "read_bits"] == 0
    assert runs[-1].counts["activation_scratchpad", "read_bits"] == 2 * 144 * 8
    assert runs[-1].counts["vector_unit", "add"] == 144


def test_a_network_with_two_inputs() -> None:
    compiled = compile_workload(machine(), workload((12,), dense("fc", "x", 5)))
    steps = [sum_step("both", "l", "r", shape=(12,)), replace(compiled.steps[0], inputs=("both",))]
    random = np.random.default_rng(1)
    runs = run_both(steps, compiled, ["fc"], l=random.integers(-128, 128, 12), r=random.integers(-128, 128, 12))
    assert [(one.plan.name, one.plan.input_bits) for one in runs] == [("both", 192), ("fc", 96)]


def test_a_tensor_that_is_read_twice_is_brought_once() -> None:
    twice = [sum_step("twice", "x", "x", shape=(12,))]
    compiled = compile_workload(machine(), workload((12,), dense("fc", "x", 5)))
    (one,) = run_both(twice, compiled, ["twice"], x=np.arange(12))
    assert one.output is not None
    assert one.output.tolist() == list(range(12))
    assert one.counts["dram", "read_bits"] == 96


def test_steps_that_only_rename_lead_back_to_the_tensor_in_dram() -> None:
    """flat names what a wrote; b reads it under that name and a under its own."""
    compiled = compile_workload(machine(), workload((4, 4, 1), conv("a", "x", 2), flatten("flat", "a")))
    steps = [*compiled.steps, sum_step("meet", "flat", "a", shape=(8,))]
    runs = run_both(steps, compiled, ["meet"], x=np.random.default_rng(2).integers(-128, 128, 16))
    assert summary([one.plan for one in runs])[1] == ("meet", ("a", "a"), ["meet"], "meet")


@pytest.mark.parametrize(
    ("keep", "expected"), [([], [[], ["x"], ["a", "b"], ["c"]]), (["a"], [[], ["x"], ["b"], ["c"]])]
)
def test_a_value_is_forgotten_after_the_last_step_that_reads_it(keep: list[str], expected: list[list[str]]) -> None:
    assert last_reads([("x",), ("x",), ("a", "b", "a"), ("c",)], keep) == expected


def test_an_activation_is_not_fused_into_a_product_that_others_read() -> None:
    """r reads fc, and so does the network's user or another operator: fc must stay as it is."""
    network = workload((3,), dense("fc", "x", 3), Rectify("r", ("fc",), "r")).network
    assert [operator.name for operator in fuse(network).operators] == ["fc"]
    assert [operator.name for operator in fuse(replace(network, outputs=("r", "fc"))).operators] == ["fc", "r"]
    second = Rectify("s", ("fc",), "s", "relu6")
    branched = replace(network, operators=(*network.operators, second))
    assert [operator.name for operator in fuse(branched).operators] == ["fc", "r", "s"]
