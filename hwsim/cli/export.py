"""``hwsim export qdq`` and ``hwsim export qonnx``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hwsim.cli.inputs import read_spec_and_workload
from hwsim.cli.output import print_paths
from hwsim.cli.run_files import check_endings, check_targets
from hwsim.compilation import compile_workload, lowering_options
from hwsim.export.qdq import qdq_file
from hwsim.export.qonnx import qonnx_file
from hwsim.results.files import write_bytes

_WRITERS = {"qdq": qdq_file, "qonnx": qonnx_file}


def write_onnx(
    kind: Literal["qdq", "qonnx"],
    architecture: str,
    workload: str,
    file: Path,
    calibration: Path | None,
    overrides: tuple[str, ...],
    *,
    real_scales: bool = False,
) -> None:
    """Quantize a workload for an architecture and write it as an ONNX file.

    Raises:
        ConfigError: a wrong argument, or a workload that hwsim does not quantize.
        UnsupportedError: operators or widths without a form in such a file.
    """
    check_targets(None, file)
    check_endings({"FILE": (file, ".onnx")})
    spec, read = read_spec_and_workload(architecture, overrides, workload, calibration)
    read.network.check_values()
    network = compile_workload(spec, read).network
    content = _WRITERS[kind](network, lowering_options(spec), real_scales=real_scales)
    print_paths([("file", str(write_bytes(file, content)))])
