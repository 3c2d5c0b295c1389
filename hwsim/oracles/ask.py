"""Asks an interpreter, in another process that may die without harm."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import ConfigError
from hwsim.readers.arrays import read_npz

Array = np.ndarray[Any, Any]
TIMEOUT_SECONDS = 3600
_LAST_CHARACTERS = 500
ONNX_RUNTIME = "onnxruntime"
_MODULES = {"tflm": "tflite_micro", ONNX_RUNTIME: "onnxruntime"}
_LITERT = "ai_edge_litert"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A model file's bytes, and an array for each of its inputs in order, (samples, *shape), of the file's types."""

    model: bytes
    inputs: Sequence[Array]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """``tensors[number]`` holds a tensor's values, samples first; ``failure`` says why there are none."""

    tensors: dict[int, Array]
    failure: str = ""


def require_oracle(oracle: str) -> None:
    """Refuse an oracle whose package is not installed.

    Raises:
        ConfigError: it is not; the text says what to install.
    """
    module = _MODULES.get(oracle, _LITERT)
    if find_spec(module) is None:
        package = module.replace("_", "-")
        raise ConfigError(f"{oracle} needs the package {package}, which is not installed; `pip install {package}`")


def ask(oracle: str, cases: Sequence[Case]) -> list[Answer]:
    """Run every case in the interpreter of a rounding profile's name; every sample starts from reset state.

    A model that the interpreter refuses, or that ends the process, gets an answer with a ``failure``.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, case in enumerate(cases):
            (folder / f"{number}.model").write_bytes(case.model)
            arrays = {str(place): array for place, array in enumerate(case.inputs)}
            np.savez(folder / f"{number}_inputs.npz", allow_pickle=False, **arrays)
        first = 0
        while first < len(cases):
            first = _run_from(oracle, folder, first, len(cases))
        return [_read(folder, number) for number in range(len(cases))]


def _run_from(oracle: str, folder: Path, first: int, cases: int) -> int:
    """Run from case ``first`` on; return the number of the first case that is still to be run."""
    command = [sys.executable, "-m", "hwsim.oracles.process", oracle, str(folder), str(first), str(cases)]
    try:
        done = subprocess.run(  # noqa: S603  (this interpreter and a module of this package)
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS, check=False
        )
        end = _ending(done.returncode, done.stderr)
    except subprocess.TimeoutExpired:
        end = f"its process was ended after {TIMEOUT_SECONDS} seconds"
    answered = first
    while answered < cases and _answered(folder, answered):
        answered += 1
    if answered < cases:
        (folder / f"{answered}_failure.txt").write_text(end, "utf-8")
    return answered + 1


def _ending(code: int, messages: str) -> str:
    """Say how a process ended, with the last that it said."""
    said = messages.strip()[-_LAST_CHARACTERS:].replace("\n", "; ")
    how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
    return f"its process died ({how})" + (f": {said}" if said else "")


def _answered(folder: Path, number: int) -> bool:
    return (folder / f"{number}_outputs.npz").exists() or (folder / f"{number}_failure.txt").exists()


def _read(folder: Path, number: int) -> Answer:
    failure = folder / f"{number}_failure.txt"
    if failure.exists():
        return Answer({}, failure.read_text("utf-8"))
    return Answer({int(name): array for name, array in read_npz(folder / f"{number}_outputs.npz").items()})
