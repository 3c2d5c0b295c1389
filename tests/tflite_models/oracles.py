"""Runs models in TensorFlow Lite's own interpreters, in another process that may crash without harm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

PROCESS = Path(__file__).with_name("oracle_process.py")
TIMEOUT_SECONDS = 300


@dataclass
class Case:
    """One model and the samples to run it on; a sample holds one array for each of the model's inputs."""

    model: bytes
    samples: list[list[np.ndarray]] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """``tensors[number]`` stacks a tensor's values over the samples; ``failure`` says why there are none."""

    tensors: dict[int, np.ndarray]
    failure: str = ""


def ask(oracle: str, cases: Sequence[Case]) -> list[Answer]:
    """Run every case in ``oracle`` (a profile's name); every sample starts from reset state.

    A model that the interpreter refuses, or that ends the process, gets an answer with a ``failure``.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, case in enumerate(cases):
            (folder / f"{number}.tflite").write_bytes(case.model)
            arrays = {f"{s}_{i}": array for s, sample in enumerate(case.samples) for i, array in enumerate(sample)}
            np.savez(folder / f"{number}_inputs.npz", allow_pickle=False, **arrays)
        first = 0
        while first < len(cases):
            first = _run_from(oracle, folder, first, len(cases))
        return [_read(folder, number) for number in range(len(cases))]


def _run_from(oracle: str, folder: Path, first: int, cases: int) -> int:
    """Run from case ``first`` on; return the number of the first case that is still to be run."""
    command = [sys.executable, str(PROCESS), oracle, str(folder), str(first), str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    answered = first
    while answered < cases and _answered(folder, answered):
        answered += 1
    if answered < cases:
        failure = f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
        (folder / f"{answered}_failure.txt").write_text(failure, "utf-8")
    return answered + 1


def _answered(folder: Path, number: int) -> bool:
    return (folder / f"{number}_outputs.npz").exists() or (folder / f"{number}_failure.txt").exists()


def _read(folder: Path, number: int) -> Answer:
    failure = folder / f"{number}_failure.txt"
    if failure.exists():
        return Answer({}, failure.read_text("utf-8"))
    with np.load(folder / f"{number}_outputs.npz", allow_pickle=False) as stored:
        return Answer({int(name): stored[name] for name in stored.files})
