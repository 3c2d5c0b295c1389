"""TensorFlow Lite's interpreters behind one interface. Importing this module imports neither of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.readers.tflite.parse import parse_file

Array = np.ndarray[Any, Any]
MIN_ARENA_BYTES = 4 << 20
LARGEST_WORD_BYTES = 8
RESOLVERS = {
    "litert_reference": "BUILTIN_REF",
    "litert_optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "xnnpack": "AUTO",
}


class Interpreter(ABC):
    """One loaded model."""

    @abstractmethod
    def run(self, sample: Sequence[Array]) -> dict[int, Array]:
        """Reset the state, run once and return every tensor that can be read, by its number in the file."""


class MicroInterpreter(Interpreter):
    """TensorFlow Lite for Microcontrollers."""

    def __init__(self, path: Path) -> None:
        from tflite_micro import runtime

        tensors = parse_file(path).tensors
        self._tensors = [tensor.index for tensor in tensors if tensor.shape and tensor.data is None]
        elements = sum(int(np.prod(tensors[number].shape)) for number in self._tensors)
        self._interpreter = runtime.Interpreter.from_file(
            str(path),
            arena_size=MIN_ARENA_BYTES + LARGEST_WORD_BYTES * elements,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,  # the package spells it so
        )

    def run(self, sample: Sequence[Array]) -> dict[int, Array]:
        """As the base class says; constants and scalars are left out."""
        self._interpreter.reset()
        for number, array in enumerate(sample):
            self._interpreter.set_input(array, number)
        self._interpreter.invoke()
        return {number: np.array(self._interpreter.GetTensor(number, 0)["tensor_data"]) for number in self._tensors}


class LitertInterpreter(Interpreter):
    """LiteRT with the kernels of one operator resolver."""

    def __init__(self, path: Path, resolver: str) -> None:
        from ai_edge_litert.interpreter import Interpreter as Litert
        from ai_edge_litert.interpreter import OpResolverType

        constants = {tensor.index for tensor in parse_file(path).tensors if tensor.data is not None}
        self._interpreter = Litert(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType[resolver],
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._inputs = [entry["index"] for entry in self._interpreter.get_input_details()]
        details = self._interpreter.get_tensor_details()
        self._tensors = [entry["index"] for entry in details if entry["index"] not in constants]

    def run(self, sample: Sequence[Array]) -> dict[int, Array]:
        """As the base class says; constants are left out."""
        self._interpreter.reset_all_variables()
        for number, array in zip(self._inputs, sample, strict=True):
            self._interpreter.set_tensor(number, array)
        self._interpreter.invoke()
        read = ((number, self._read(number)) for number in self._tensors)
        return {number: array for number, array in read if array is not None}

    def _read(self, number: int) -> Array | None:
        try:
            return np.array(self._interpreter.get_tensor(number))
        except ValueError:  # a tensor inside a delegate, or a scratch tensor
            return None


def load_interpreter(oracle: str, path: Path) -> Interpreter:
    """Return the interpreter of that name with a model in it.

    Raises:
        RuntimeError, ValueError: as the interpreter has it, where it refuses the model.
    """
    return MicroInterpreter(path) if oracle == "tflm" else LitertInterpreter(path, RESOLVERS[oracle])
