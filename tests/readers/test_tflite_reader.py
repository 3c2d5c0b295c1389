"""``.tflite`` files: what is read, what is refused, and what damaged files come to."""

from __future__ import annotations

import os
import resource
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from model_files import ModelFiles
from tflite_files import (
    ADD,
    DENSE_BIAS,
    SCALED,
    FileBuilder,
    dense_file,
)

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.operators.dense import RowsDense
from hwsim.readers.read import read_workload
from hwsim.readers.tflite.parse import parse

FILES = ModelFiles("model.tflite")
written, read, refusal = FILES.written, FILES.read, FILES.refusal


def test_tensors_are_called_by_their_number_and_keep_their_integers(tmp_path: Path) -> None:
    network = read(tmp_path, dense_file()).network
    (operator,) = network.operators
    assert isinstance(operator, RowsDense)
    assert (operator.name, operator.inputs, operator.output) == ("fully_connected_0", ("0",), "3")
    assert (network.inputs, network.outputs, network.holds_codes) == (("0",), ("3",), True)
    weight = network.tensors[operator.weight]
    assert np.asarray(weight.data).tolist() == [[1, 4], [2, 5], [3, 6]]  # (depth, units); the file has (units, depth)
    assert operator.bias is not None
    assert np.asarray(network.tensors[operator.bias].data).tolist() == DENSE_BIAS
    assert network.sample_shape("0") == (3,)


def test_missing_names_and_option_tables_are_no_problem(tmp_path: Path) -> None:
    assert read(tmp_path, dense_file(names=False, options=False)).network.operators


def test_all_unsupported_operators_and_types_are_listed_at_once(tmp_path: Path) -> None:
    file = FileBuilder()
    source = file.tensor((4,), "INT8", *SCALED)
    middle, last = (file.tensor((4,), "INT8", *SCALED) for _ in range(2))
    real, other = (file.tensor((4,), "FLOAT32") for _ in range(2))
    unknown = file.tensor((4,), "INT8", *SCALED)
    file.operator("GATHER", [source], [middle])
    file.operator(ADD, [middle, middle], [last])
    file.operator(ADD, [source, real], [other])
    file.operator(250, [last], [unknown])
    content = file.build([source, real], [unknown, other])
    assert refusal(tmp_path, content, UnsupportedError) == [
        "model.tflite: operator 0 (GATHER): no such operator here",
        "model.tflite: operator 2 (ADD): tensor 3 is FLOAT32; allowed: INT8",
        "model.tflite: operator 3 (code 250): no such operator here",
        "model.tflite: 1 of 4 operators would run: ADD",
    ]


def test_a_custom_operator_is_named(tmp_path: Path) -> None:
    file = FileBuilder()
    source, result = (file.tensor((4,), "INT8", *SCALED) for _ in range(2))
    file.operator("CUSTOM", [source], [result], custom="Mine")
    assert refusal(tmp_path, file.build([source], [result]), UnsupportedError)[0] == (
        "model.tflite: operator 0 (CUSTOM 'Mine'): no such operator here"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda file: file[:4] + b"ONNX" + file[8:], "not a TensorFlow Lite file (no identifier TFL3 at byte 4)"),
        (lambda file: file[:0], "not a TensorFlow Lite file (no identifier TFL3 at byte 4)"),
        (lambda file: struct.pack("<I", 1 << 31) + file[4:], "root table at byte 2147483648 of a file of"),
        (lambda file: file[: len(file) // 2], "damaged or cut off"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, change: object, text: str) -> None:
    assert callable(change)
    (line,) = refusal(tmp_path, change(dense_file()))
    assert line.startswith(f"model.tflite: {text}")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_workload(tmp_path / "none.tflite")
    assert str(refused.value) == f"{tmp_path}/none.tflite: cannot be read (No such file or directory)"


def test_an_operator_reads_only_what_is_known_before_it(tmp_path: Path) -> None:
    file = FileBuilder()
    source, middle, last = (file.tensor((4,), "INT8", *SCALED) for _ in range(3))
    file.operator(ADD, [source, middle], [last])
    file.operator(ADD, [source, source], [middle])
    assert refusal(tmp_path, file.build([source], [last])) == [
        "model.tflite: operator 0 (ADD) reads tensor 1, which nothing before it has written"
    ]


def test_an_output_of_another_shape_is_refused(tmp_path: Path) -> None:
    file = FileBuilder()
    source, last = file.tensor((4,), "INT8", *SCALED), file.tensor((5,), "INT8", *SCALED)
    file.operator(ADD, [source, source], [last])
    assert refusal(tmp_path, file.build([source], [last])) == [
        "model.tflite: layer add_0: output of shape [5]; allowed: [4]"
    ]


def test_constants_have_the_size_of_their_shape(tmp_path: Path) -> None:
    file = FileBuilder()
    source, last = (file.tensor((4,), "INT8", *SCALED) for _ in range(2))
    constant = file.tensor((4,), "INT8", *SCALED, data=bytes(3))
    file.operator(ADD, [source, constant], [last])
    assert refusal(tmp_path, file.build([source], [last])) == [
        "model.tflite: tensor 2: 3 bytes of data for shape [4] of INT8"
    ]


def test_a_scale_of_zero_is_refused(tmp_path: Path) -> None:
    file = FileBuilder()
    source, last = file.tensor((4,), "INT8", 0.0, 0), file.tensor((4,), "INT8", *SCALED)
    file.operator(ADD, [source, source], [last])
    assert refusal(tmp_path, file.build([source], [last])) == [
        "model.tflite: tensor 0: quantization scale is not a positive finite number"
    ]


def test_a_huge_shape_takes_no_memory(tmp_path: Path) -> None:
    file = FileBuilder()
    source, last = (file.tensor((1 << 20, 1 << 10), "INT8", *SCALED) for _ in range(2))
    file.operator(ADD, [source, source], [last])
    assert refusal(tmp_path, file.build([source], [last])) == [
        "model.tflite: tensor 0: shape [1048576, 1024]; allowed: 67108864 elements"
    ]


def mutated(content: bytes, number: int) -> bytes:
    """Cut the file off, or overwrite some of its bytes, which keep the identifier."""
    chance = np.random.default_rng(number)
    changed = bytearray(content)
    if number % 4 == 0:
        return bytes(changed[: int(chance.integers(len(changed)))])
    for _ in range(int(chance.choice([1, 4, 32, 256]))):
        place = int(chance.integers(8, len(changed)))
        changed[place] = int(chance.choice([0, 127, 128, 255, chance.integers(256)]))
    return bytes(changed)


def sources() -> list[bytes]:
    """A small generated file, and real ones where there are some."""
    folder = os.environ.get("HWSIM_SHARED")
    names = ("hello_world_int8", "catdog", "rnnoise_INT8") if folder else ()
    return [dense_file(), *(Path(str(folder), "models", f"{name}.tflite").read_bytes() for name in names)]


def test_two_hundred_damaged_files_are_refused_or_read_quickly_and_in_little_memory(tmp_path: Path) -> None:
    contents = sources()
    begun, largest_kilobytes = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = set()
    for number in range(200):
        content = mutated(contents[number % len(contents)], number)
        try:
            read(tmp_path, content)
            outcomes.add("read")
        except ConfigError as error:
            outcomes.add("refused")
            assert all(line.startswith(str(tmp_path)) for line in error.problems)
        except UnsupportedError:
            outcomes.add("unsupported")
    assert {"read", "refused"} <= outcomes
    assert time.monotonic() - begun < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - largest_kilobytes < 1 << 20


def test_a_vector_that_many_tables_share_is_not_read_for_each_of_them() -> None:
    """A long list of scales that every tensor names: quadratic in the file's size, if nothing stopped it."""
    file = FileBuilder()
    shared = file.shared_scales(20_000)
    tensors = [file.tensor((1,), "INT8", table=shared) for _ in range(2_000)]
    with pytest.raises(ConfigError) as refused:
        parse(file.build([tensors[0]], [tensors[0]]), "model.tflite")
    assert "more than the file can hold" in str(refused.value)
