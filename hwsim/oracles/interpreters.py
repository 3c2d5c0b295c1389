"""TensorFlow Lite's interpreters and ONNX Runtime behind one interface. Importing this module imports none of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.oracles.ask import ONNX_RUNTIME
from hwsim.readers.onnx.parse import parse_file as parse_onnx
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


class OnnxRuntimeInterpreter(Interpreter):
    """ONNX Runtime, node by node: graph optimizations are off. Tensors are numbered as `onnx_tensors` has them."""

    def __init__(self, path: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(path, load_external_data=False)
        self._inputs = [one.name for one in parse_onnx(path).inputs]
        outputs = {one.name for one in model.graph.output}
        self._tensors = onnx_tensors(path)
        for name in self._tensors:
            if name not in outputs:
                model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, sample: Sequence[Array]) -> dict[int, Array]:
        """As the base class says; a sample's arrays have a first axis of 1."""
        found = self._session.run(self._tensors, dict(zip(self._inputs, sample, strict=True)))
        return {number: np.asarray(array) for number, array in enumerate(found)}


def onnx_tensors(path: Path) -> list[str]:
    """Return the names of all tensors that a file's nodes write; a tensor's place is its number."""
    return [name for node in parse_onnx(path).nodes for name in node.outputs if name]


def load_interpreter(oracle: str, path: Path) -> Interpreter:
    """Return the interpreter of that name with a model in it.

    Raises:
        RuntimeError, ValueError: as the interpreter has it, where it refuses the model.
    """
    if oracle == ONNX_RUNTIME:
        return OnnxRuntimeInterpreter(path)
    return MicroInterpreter(path) if oracle == "tflm" else LitertInterpreter(path, RESOLVERS[oracle])
