"""The process behind `oracles.ask`: reads numbered models and inputs from a folder, writes numbered outputs."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

ARENA_BYTES = 4 << 20
RESOLVERS = {
    "litert_reference": "BUILTIN_REF",
    "litert_optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "xnnpack": "AUTO",
}


class Oracle(ABC):
    """One loaded model."""

    @abstractmethod
    def run(self, sample: list[np.ndarray]) -> dict[int, np.ndarray]:
        """Reset state, run once and return every tensor that can be read."""


class MicroOracle(Oracle):
    """TensorFlow Lite for Microcontrollers."""

    def __init__(self, path: Path) -> None:
        from tflite_micro import runtime

        self.tensors = count_tensors(path)
        self.interpreter = runtime.Interpreter.from_file(
            str(path),
            arena_size=ARENA_BYTES,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )

    def run(self, sample: list[np.ndarray]) -> dict[int, np.ndarray]:
        self.interpreter.reset()
        for number, array in enumerate(sample):
            self.interpreter.set_input(array, number)
        self.interpreter.invoke()
        return {number: np.array(self.interpreter.GetTensor(number, 0)["tensor_data"]) for number in self.tensors}


class LitertOracle(Oracle):
    """LiteRT with one of its operator resolvers."""

    def __init__(self, path: Path, oracle: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType[RESOLVERS[oracle]],
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.inputs = [entry["index"] for entry in self.interpreter.get_input_details()]
        self.tensors = [entry["index"] for entry in self.interpreter.get_tensor_details()]

    def run(self, sample: list[np.ndarray]) -> dict[int, np.ndarray]:
        self.interpreter.reset_all_variables()
        for number, array in zip(self.inputs, sample, strict=True):
            self.interpreter.set_tensor(number, array)
        self.interpreter.invoke()
        read = ((number, self._read(number)) for number in self.tensors)
        return {number: array for number, array in read if array is not None}

    def _read(self, number: int) -> np.ndarray | None:
        try:
            return np.array(self.interpreter.get_tensor(number))
        except ValueError:  # a tensor inside a delegate, or a scratch tensor
            return None


def count_tensors(path: Path) -> list[int]:
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
    return [number for number in range(graph.TensorsLength()) if graph.Tensors(number).ShapeLength()]


def load(oracle: str, path: Path) -> Oracle:
    return MicroOracle(path) if oracle == "tflm" else LitertOracle(path, oracle)


def answer(oracle: str, folder: Path, number: int) -> None:
    model = load(oracle, folder / f"{number}.tflite")
    with np.load(folder / f"{number}_inputs.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    samples: dict[int, list[np.ndarray]] = {}
    for name, array in arrays.items():
        samples.setdefault(int(name.split("_")[0]), []).append(array)
    runs = [model.run(sample) for sample in samples.values()]
    stacked = {str(tensor): np.stack([run[tensor] for run in runs]) for tensor in runs[0]}
    partial = folder / f"{number}_partial.npz"
    np.savez(partial, allow_pickle=False, **stacked)
    partial.rename(folder / f"{number}_outputs.npz")


def main(oracle: str, folder: Path, first: int, cases: int) -> None:
    for number in range(first, cases):
        try:
            answer(oracle, folder, number)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            (folder / f"{number}_failure.txt").write_text(f"{type(error).__name__}: {error}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
