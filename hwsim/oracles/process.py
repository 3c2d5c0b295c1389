"""The process behind `ask`: reads numbered models and inputs from a folder, writes numbered outputs.

An interpreter that dies takes this process with it and no other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hwsim.oracles.interpreters import load_interpreter
from hwsim.readers.arrays import read_npz


def answer(oracle: str, folder: Path, number: int) -> None:
    """Run one model on its samples and write its tensors, samples first; the file appears when it is whole."""
    interpreter = load_interpreter(oracle, folder / f"{number}.model")
    inputs = read_npz(folder / f"{number}_inputs.npz")
    samples = zip(*(inputs[str(place)] for place in range(len(inputs))), strict=True)
    runs = [interpreter.run(sample) for sample in samples]
    stacked = {str(tensor): np.stack([run[tensor] for run in runs]) for tensor in runs[0]}
    partial = folder / f"{number}_partial.npz"
    np.savez(partial, allow_pickle=False, **stacked)
    partial.rename(folder / f"{number}_outputs.npz")


def main(oracle: str, folder: Path, first: int, cases: int) -> None:
    """Answer the cases from ``first`` on; one that is refused leaves the reason in a file."""
    for number in range(first, cases):
        try:
            answer(oracle, folder, number)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            (folder / f"{number}_failure.txt").write_text(f"{type(error).__name__}: {error}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
