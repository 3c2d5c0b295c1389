"""Public networks that are exported, and how many codes their tensors have for three samples."""

from __future__ import annotations

from collections.abc import Sequence

from export.file_runs import FileRun
from shared_files import shared

from hwsim.oracles.compare import random_inputs
from hwsim.readers.read import read_workload

ELEMENTS = {
    "ad01_int8": 6_936,
    "catdog": 7_743,
    "hello_world_int8": 102,
    "kws_ref_model": 217_926,
    "micro_speech_quantized": 23_784,
    "pretrainedResnet_quant": 353_724,
    "resnet8_static_wi8_ai16": 353_724,
    "rnnoise_INT8": 15_147,
    "trained_lstm_int8": 5_892,
    "vww_96_int8": 779_148,
}
"""Elements of all activations, counted from the shapes that the files give; of the TFLite files by name."""


def of_a_file(name: str, settings: Sequence[str] = ("array.activation_bits=16",)) -> FileRun:
    """A public network with three random samples."""
    workload = read_workload(shared("models", name))
    return FileRun(workload, random_inputs(workload.network, 3, 0), settings=tuple(settings))
