"""Reads a workload of any kind."""

from __future__ import annotations

from pathlib import Path

from hwsim.readers.native import read_workload as read_native
from hwsim.readers.workload import Workload

TFLITE_SUFFIX = ".tflite"
ONNX_SUFFIX = ".onnx"
TOPOLOGY_SUFFIX = ".csv"


def read_workload(name_or_path: str | Path) -> Workload:
    """Return the workload in a file by its suffix, or in a folder (or of that shipped name).

    Files are ``.tflite``, ``.onnx``, SCALE-Sim's topologies (``.csv``), or hwsim's own YAML.

    Raises:
        ConfigError: the file is missing, damaged or wrong.
        UnsupportedError: it asks for operators or types that are not supported; all of them are listed.
    """
    if Path(name_or_path).suffix == TFLITE_SUFFIX:
        from hwsim.readers.tflite.read import read_tflite

        return read_tflite(Path(name_or_path))
    if Path(name_or_path).suffix == ONNX_SUFFIX:
        from hwsim.readers.onnx.read import read_onnx

        return read_onnx(Path(name_or_path))
    if Path(name_or_path).suffix.lower() == TOPOLOGY_SUFFIX:
        from hwsim.readers.scalesim import read_topology

        return read_topology(Path(name_or_path))
    return read_native(name_or_path)
