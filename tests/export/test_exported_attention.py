"""The shipped transformer in exported files: others compute it as hwsim does, code by code."""

from __future__ import annotations

import pytest
from export.file_runs import FileRun

from hwsim.readers.read import read_workload


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_every_code_of_the_written_transformer(bits: int) -> None:
    """Projections, heads' products, softmax, normalized rows, Gaussian units, residuals; sums beyond 2**24 at 16 bits.

    Softmax and normalization are in float64, where the kernels' own orders and exponentials change no code.
    """
    widths = (f"array.weight_bits={min(bits, 8)}", f"array.activation_bits={bits}")
    run = FileRun(read_workload("digits_transformer"), samples=100, settings=widths)
    assert {"scores", "context", "norm1", "gelu", "logits"} <= set(run.codes)
    assert run.in_onnx_runtime() == run.in_qonnx() == (0, 519_400)
