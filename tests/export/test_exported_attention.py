"""The shipped transformer in a QDQ file: ONNX Runtime computes it as hwsim does, code by code."""

from __future__ import annotations

import pytest
from exported import Exported, in_onnx_runtime

from hwsim.export.qdq import qdq_file


@pytest.mark.parametrize("bits", [4, 8])
def test_onnx_runtime_computes_every_code_of_the_written_transformer(bits: int) -> None:
    """Node by node in float32: projections, heads' products, softmax, normalized rows, Gaussian units, residuals."""
    case = Exported("digits_transformer", bits, 100)
    found = in_onnx_runtime(qdq_file(case.network, case.options), case.inputs, list(case.codes), fused=False)
    wrong, elements = case.differences(lambda name: found[name])
    assert {"scores", "context", "norm1", "gelu", "logits"} <= set(case.codes)
    assert (wrong, elements > 500_000) == (0, True)
