"""hwsim: simulation of integer neural-network accelerators round a systolic array, cycle by cycle and bit for bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.array.gemm import simulate_gemm
    from hwsim.simulate import run

__version__ = "0.1.0"
__all__ = ["__version__", "run", "simulate_gemm"]

_HOMES = {"run": "hwsim.simulate", "simulate_gemm": "hwsim.array.gemm"}


def __getattr__(name: str) -> Any:
    """Import the public functions on first use, so that ``import hwsim`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hwsim' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
