"""A network's integers under profile onnxruntime beside those of its exported file, run by others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from export.exported import in_onnx_runtime
from export.qonnx_executor import executed_codes

from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.export.qdq import qdq_file
from hwsim.export.qonnx import qonnx_file
from hwsim.network.network import Network
from hwsim.readers.workload import Workload
from hwsim.samples import Samples, choose_samples
from hwsim.simulate import integer_tensors

SETTINGS = ("requantizer.rounding_profile=onnxruntime", "array.guard_bits=16")


@dataclass(frozen=True)
class FileRun:
    """``inputs`` are what users give: codes of files of codes, else reals; the workload's own samples if None."""

    workload: Workload
    inputs: Mapping[str, np.ndarray] | None = None
    samples: int | None = None
    settings: tuple[str, ...] = ()

    @cached_property
    def _spec(self) -> ArchSpec:
        return load_arch("edge16", [*SETTINGS, *self.settings])

    @cached_property
    def _chosen(self) -> Samples:
        given = None if self.inputs is None else dict(self.inputs)
        return choose_samples(self.workload, inputs=given, samples=self.samples)

    @cached_property
    def network(self) -> Network:
        return compile_workload(self._spec, self._chosen.workload).network

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """The quantized tensors, but for an LSTM's states, which are two tensors in a file."""
        found = integer_tensors(self._spec, self._chosen)
        grids = {name: self.network.tensors[name].quantization for name in found}
        return {name: found[name] for name, grid in grids.items() if grid is not None and grid.axis is None}

    @cached_property
    def reals(self) -> dict[str, np.ndarray]:
        """What the file takes for the same samples."""
        return {
            f"{name}.given": self._real(name, np.asarray(self._chosen.inputs[name])) for name in self.network.inputs
        }

    def _real(self, name: str, values: np.ndarray) -> np.ndarray:
        grid = self.network.tensors[name].quantization
        if not self.network.holds_codes:  # laid out as hwsim has them
            return self.network.from_elements(name, values.reshape(len(values), -1)).astype(np.float32)
        if grid is None:
            return values.astype(np.float32)
        return np.float32(grid.scale) * (values.astype(np.float32) - np.float32(grid.zero_point))

    def qdq(self) -> bytes:
        return qdq_file(self.network, lowering_options(self._spec))

    def qonnx(self) -> bytes:
        return qonnx_file(self.network, lowering_options(self._spec))

    def in_onnx_runtime(self) -> tuple[int, int]:
        """How many codes differ of how many, node by node."""
        return self.differences(in_onnx_runtime(self.qdq(), self.reals, list(self.codes), fused=False).__getitem__)

    def in_qonnx(self) -> tuple[int, int]:
        """The same in QONNX's executor."""
        return self.differences(executed_codes(self.qonnx(), self.reals).__getitem__)

    def differences(self, theirs: Callable[[str], np.ndarray], without: Collection[str] = ()) -> tuple[int, int]:
        """How many codes differ of how many; ``theirs`` are laid out as in the file."""
        wrong, compared = 0, {name: codes for name, codes in self.codes.items() if name not in without}
        for name, ours in compared.items():
            found = theirs(name)
            if found.ndim == 4 and self.network.tensors[name].order is None:
                found = found.transpose(0, 2, 3, 1)
            shape = (len(ours), -1)
            rows = np.broadcast_to(found.reshape(len(found), -1), (len(ours), found[0].size))
            wrong += int(np.count_nonzero(rows != ours.reshape(shape)))
        return wrong, sum(codes.size for codes in compared.values())
