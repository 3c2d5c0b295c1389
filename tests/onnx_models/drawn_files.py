"""Files of reals with random constants, every tensor of which is compared with ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx_files import ModelBuilder, runtime_tensors

from hwsim.execute.floating import float_values
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload

TOLERANCE = 2e-5  # of the greatest value of a tensor; ONNX Runtime computes in float32


class Drawn:
    """A file with one input of reals, and random constants."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.file = ModelBuilder()
        self.file.input("x", np.float32, ["batch", *shape])
        self.inputs = self.random.normal(0, 1, (6, *shape)).astype(np.float32)

    def numbers(self, *shape: int, scale: float = 0.3) -> str:
        return self.file.constant(self.random.normal(0, scale, shape), np.float32)

    def positive(self, *shape: int) -> str:
        return self.file.constant(self.random.uniform(0.5, 2, shape), np.float32)

    def number(self, value: float) -> str:
        return self.file.constant(value, np.float32)

    def integers(self, *values: int) -> str:
        return self.file.constant(list(values), np.int64)

    def read(self, tmp_path: Path, output: str = "y") -> Workload:
        path = tmp_path / "model.onnx"
        path.write_bytes(self.file.build({output: np.float32}))
        return read_workload(path)

    def check(self, tmp_path: Path, output: str = "y") -> list[str]:
        """Compare every tensor of the file that hwsim has; return their names."""
        network = self.read(tmp_path, output).network
        laid_out = network.laid_out("x", self.inputs)
        found = {
            name: network.from_elements(name, values.reshape(len(values), -1))
            for name, values in float_values(network, np.asarray(laid_out))
        }
        names = [name for name in found if not network.tensors[name].is_internal]
        content = (tmp_path / "model.onnx").read_bytes()
        for name, expected in runtime_tensors(content, {"x": self.inputs}, names).items():
            samples, first = len(self.inputs), len(expected) // len(self.inputs)  # runs lie one behind the other
            shape = expected.shape if first == 1 else (samples, first, *expected.shape[1:])
            assert found[name].shape == shape, name
            assert np.abs(found[name] - expected.reshape(shape)).max() <= TOLERANCE * max(np.abs(expected).max(), 1), (
                name
            )
        return names
