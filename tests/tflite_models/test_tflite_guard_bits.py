"""Guard bits of `.tflite` files: by counting overflows, and with biases that no accumulator could hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from digits_files import digits_codes, digits_file
from shared_files import shared

from hwsim.analysis.guard_bits import guard_bits, step_extremes
from hwsim.array.params import MIN_GUARD_BITS
from hwsim.compilation import compile_workload
from hwsim.config.load import load_arch
from hwsim.execute.integer import run_integer
from hwsim.network.steps import MatmulStep
from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import run


@pytest.mark.parametrize("zero_point", ["folded", "operand"])
def test_a_files_data_need_what_counting_overflows_finds(
    zero_point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "analysis"))
    from overflow_search import fewest_without_overflow

    path = tmp_path / "digits_cnn.tflite"
    path.write_bytes(digits_file("digits_cnn"))
    chosen = choose_samples(read_workload(path), inputs=digits_codes("digits_cnn")[0], samples=10)
    spec = load_arch("edge16", [f"array.zero_point={zero_point}", "array.dataflow=weight_stationary"])
    found = {layer.layer: max(layer.data_guard_bits, MIN_GUARD_BITS) for layer in guard_bits(spec, chosen)}
    assert found == fewest_without_overflow(spec, chosen)


def test_huge_biases_are_no_overflow_of_the_array() -> None:
    """Hundreds of channels of this file have biases of 2^20 to 2^30 in size, added behind the array."""
    workload = read_workload(shared("models", "vww_96_int8.tflite"))
    chosen = choose_samples(workload, inputs=random_inputs(workload.network, 1, 0))
    spec = load_arch("edge16")
    compiled = compile_workload(spec, workload)
    steps = [step for step in compiled.steps if isinstance(step, MatmulStep)]
    assert sum(int(np.count_nonzero(np.abs(step.bias) >= 1 << 20)) for step in steps) > 500
    codes = compiled.codes(chosen.inputs)
    values = run_integer(compiled.steps, compiled.params, codes, keep=[step.inputs[0] for step in steps]).values
    for step, layer in zip(steps, guard_bits(spec, chosen), strict=True):
        unbiased = replace(step, bias=np.zeros_like(step.bias))
        sums = step_extremes(unbiased, compiled.params[step.name], values[step.inputs[0]])
        assert (sums.least, sums.greatest) == (layer.least_sum, layer.greatest_sum)
        assert layer.data_guard_bits <= 6
    assert run(spec, workload, inputs=chosen.inputs, engine="functional").totals["overflow_events"] == 0
