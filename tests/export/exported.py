"""A shipped network, quantized at some width: its integers in hwsim, and in an exported file run by others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
import onnxruntime

from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.network.network import Network
from hwsim.network.operator import LoweringOptions
from hwsim.readers.read import read_workload
from hwsim.samples import Samples, choose_samples
from hwsim.simulate import integer_tensors


@dataclass(frozen=True)
class Exported:
    """``samples`` of a workload's own."""

    workload: str
    bits: int
    samples: int
    settings: Sequence[str] = ()

    @cached_property
    def spec(self) -> ArchSpec:
        widths = [f"array.weight_bits={self.bits}", f"array.activation_bits={self.bits}", "array.guard_bits=16"]
        return load_arch("edge16", ["requantizer.rounding_profile=onnxruntime", *widths, *self.settings])

    @cached_property
    def chosen(self) -> Samples:
        return choose_samples(read_workload(self.workload), samples=self.samples)

    @cached_property
    def network(self) -> Network:
        return compile_workload(self.spec, self.chosen.workload).network

    @cached_property
    def options(self) -> LoweringOptions:
        return lowering_options(self.spec)

    @cached_property
    def inputs(self) -> np.ndarray:
        return self.chosen.inputs[self.network.input].astype(np.float32)

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        return integer_tensors(self.spec, self.chosen)

    def differences(self, theirs: Callable[[str], np.ndarray]) -> tuple[int, int]:
        """Return how many codes differ of all tensors, and how many there are; images come with channels first."""
        found = {name: theirs(name) for name in self.codes}
        found = {name: codes.transpose(0, 2, 3, 1) if codes.ndim == 4 else codes for name, codes in found.items()}
        wrong = sum(int(np.count_nonzero(found[name] != codes)) for name, codes in self.codes.items())
        return wrong, sum(codes.size for codes in self.codes.values())


def in_onnx_runtime(
    content: bytes, inputs: np.ndarray | Mapping[str, np.ndarray], names: Sequence[str], *, fused: bool
) -> dict[str, np.ndarray]:
    """Return tensors of a file: node by node in float32, or fused into kernels of integers; sample by sample."""
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    for name in names:
        model.graph.output.append(helper_info(name))
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED if fused else levels.ORT_DISABLE_ALL
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = inputs if isinstance(inputs, Mapping) else {model.graph.input[0].name: inputs}
    samples = range(len(next(iter(given.values()))))
    runs = [session.run(list(names), {name: one[at : at + 1] for name, one in given.items()}) for at in samples]
    return dict(zip(names, map(np.concatenate, zip(*runs, strict=True)), strict=True))


def helper_info(name: str) -> onnx.ValueInfoProto:
    return onnx.helper.make_empty_tensor_value_info(name)
