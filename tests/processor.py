"""Which processor the tests run on, as far as kernels of others depend on it."""

from __future__ import annotations

import platform

import pytest


def _multiplies_and_adds_at_once() -> bool:
    from llvmlite import binding

    return platform.machine().lower() in ("x86_64", "amd64") and binding.get_host_cpu_features().get("fma", False)


in_order_of_x86 = pytest.mark.skipif(
    not _multiplies_and_adds_at_once(),
    reason="ONNX Runtime's float32 kernels add in another order on processors that are not x86 with FMA3",
)
"""For tests that compare rounded float32 sums with ONNX Runtime's."""
