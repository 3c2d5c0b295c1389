"""``.onnx`` files: what is read, what is refused, and what damaged files come to."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import ModelFiles
from onnx import TensorProto, helper, numpy_helper

from hwsim.compilation import compile_workload, lowering_options
from hwsim.config.load import load_arch
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.export.qdq import qdq_file
from hwsim.export.qonnx import qonnx_file
from hwsim.network.operators.conv2d import Conv2d
from hwsim.readers.read import read_workload


def constant(name: str, values: object, dtype: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


CONSTANTS = [constant("s", 0.5, np.float32), constant("z", 3, np.int8), constant("zw", 0, np.int8)]
WEIGHTS = np.arange(24).reshape(2, 3, 2, 2)


def model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto] | None = None, **shapes: object) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", shapes.get("type", TensorProto.INT8), shapes.get("x", ["n", 3, 6, 5]))],
        [helper.make_tensor_value_info("y", TensorProto.INT8, None)],
        CONSTANTS + (constants or []),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def conv_file(weights: np.ndarray = WEIGHTS, **attributes: object) -> bytes:
    inputs = ["x", "s", "z", "w", "s", "zw", "s", "z"]
    return model([helper.make_node("QLinearConv", inputs, ["y"], **attributes)], [constant("w", weights, np.int8)])


FILES = ModelFiles("model.onnx")
written, read, refusal = FILES.written, FILES.read, FILES.refusal


def test_tensors_keep_their_names_and_images_lie_channels_last(tmp_path: Path) -> None:
    network = read(tmp_path, conv_file()).network
    (operator,) = network.operators
    assert isinstance(operator, Conv2d)
    assert (operator.name, operator.inputs, operator.output) == ("qlinearconv_0", ("x",), "y")
    assert (network.tensors["x"].shape, network.sample_shape("x")) == ((1, 6, 5, 3), (3, 6, 5))
    assert (network.tensors["y"].shape, network.sample_shape("y")) == ((1, 5, 4, 2), (2, 5, 4))
    assert np.array_equal(np.asarray(network.tensors[operator.weight].data), WEIGHTS.transpose(2, 3, 1, 0))
    assert (network.holds_codes, network.rounding_profile) == (True, "onnxruntime")


def test_an_image_goes_in_and_comes_back_as_the_file_has_it(tmp_path: Path) -> None:
    network = read(tmp_path, conv_file()).network
    image = np.arange(2 * 90).reshape(2, 3, 6, 5)
    elements = network.to_elements("x", image)
    assert np.array_equal(elements, image.transpose(0, 2, 3, 1).reshape(2, -1))
    assert np.array_equal(network.from_elements("x", elements), image)


def test_all_unsupported_operators_and_types_are_listed_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Einsum", ["x"], ["a"], equation="ij->ji"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Mine", ["x"], ["c"], domain="my.domain"),
        helper.make_node("QLinearConv", ["x", "s", "z", "w", "s", "zw", "s", "z"], ["d"]),
        helper.make_node("QLinearSoftmax", ["d", "s", "z", "s", "z"], ["e"], domain="com.microsoft", axis=1, opset=13),
        helper.make_node("Einsum", ["b"], ["y"], equation="ij->ji"),
    ]
    assert refusal(tmp_path, model(nodes, [constant("w", WEIGHTS, np.int8)]), UnsupportedError) == [
        "model.onnx: node 0 (Einsum): no such operator here",
        "model.onnx: node 2 (Mine): no such operator here (domain my.domain)",
        "model.onnx: node 4 (QLinearSoftmax): axis 1 of [1, 2, 5, 4]; allowed: the last one",
        "model.onnx: node 5 (Einsum): no such operator here",
        "model.onnx: 1 of 6 operators would run: QLinearConv",
    ]


def test_shapes_that_exporters_spell_out_are_computed_while_reading(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["batches"]),
        helper.make_node("Concat", ["batches", "rest"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["x", "sizes"], ["y"]),
    ]
    numbers = [constant("first", 0, np.int64), constant("axes", [0], np.int64), constant("rest", [-1], np.int64)]
    assert read(tmp_path, model(nodes, numbers)).network.sample_shape("y") == (90,)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _: b"", "not an ONNX file (it has no graph)"),
        (lambda file: file[: len(file) // 2], "not an ONNX file, or one that is damaged or cut off"),
        (lambda _: b"\x89PNG" * 30, "not an ONNX file, or one that is damaged or cut off"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, change: Callable[[bytes], bytes], text: str) -> None:
    assert refusal(tmp_path, change(conv_file())) == [f"model.onnx: {text}"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_workload(tmp_path / "none.onnx")
    assert str(refused.value) == f"{tmp_path}/none.onnx: cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (conv_file(group=3), "node 0 (QLinearConv): 3 channels by weights [2, 3, 2, 2] in 3 groups"),
        (conv_file(kernel_shape=[3, 3]),
         "node 0 (QLinearConv): kernel_shape of other sizes than the weights [2, 3, 2, 2]"),
        (conv_file(strides=[0, 1]), "node 0 (QLinearConv): strides [0, 1]; allowed: 2 sizes from 1 to 1048576"),
        (conv_file(pads=[0, 0, -1, 0]), "node 0 (QLinearConv): pads [0, 0, -1, 0]; allowed: 4 sizes of 0 or more"),
        (conv_file(auto_pad="SAME"),
         "node 0 (QLinearConv): auto_pad SAME; allowed: NOTSET, SAME_UPPER, SAME_LOWER, VALID"),
        (conv_file(np.zeros((2, 3, 9, 2))), "node 0 (QLinearConv): a window of 9 does not fit an input of 6"),
        (model([helper.make_node("Relu", ["q"], ["y"])]),
         "node 0 (Relu) reads 'q', which nothing before it has written"),
        (model([helper.make_node("Relu", ["x"], ["s"])]), "node 0 (Relu) writes 's', which is there already"),
        (model([helper.make_node("Relu", ["x"], ["a"])]), "no node writes the output 'y'"),
        (model([helper.make_node("Relu", ["x"], ["y"])], x=["n", 3, "height", 5]),
         "input 'x' of shape ['open', 3, 'open', 5]; allowed: only the first size open, "
         "or the second one of what a recurrent operator reads"),
        (model([helper.make_node("Relu", ["x"], ["y"])], x=[1, 1 << 20, 1 << 10]),
         "'x': shape [1, 1048576, 1024]; allowed: 67108864 elements"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(tmp_path: Path, content: bytes, text: str) -> None:
    assert refusal(tmp_path, content) == [f"model.onnx: {text}"]


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    content = model([helper.make_node("Relu", ["x"], ["y"])]).replace(b"Relu", b"R\xff\xfeu")
    assert refusal(tmp_path, content) == ["model.onnx: node 0 has names that are no text"]


def test_scales_beyond_float32_are_refused(tmp_path: Path) -> None:
    constants = [constant("w", WEIGHTS, np.int8), constant("large", 3e38, np.float32)]
    content = model(
        [helper.make_node("QLinearConv", ["x", "large", "z", "w", "large", "zw", "s", "z"], ["y"])], constants
    )
    assert refusal(tmp_path, content) == ["model.onnx: node 0 (QLinearConv): scales whose product is beyond float32"]


def test_a_batch_that_is_fixed_is_refused(tmp_path: Path) -> None:
    inputs = ["x", "s", "z", "w", "s", "zw", "s", "z"]
    content = model([helper.make_node("QLinearConv", inputs, ["y"])], [constant("w", WEIGHTS, np.int8)], x=[8, 3, 6, 5])
    assert refusal(tmp_path, content, UnsupportedError)[0] == (
        "model.onnx: node 0 (QLinearConv): batch of 8; allowed: 1, or an open size"
    )


def test_a_constant_has_the_bytes_of_its_shape(tmp_path: Path) -> None:
    """The shape alone would take 8 GiB: nothing is allocated for it."""
    short = TensorProto(name="w", data_type=TensorProto.INT8, dims=[1 << 10, 1 << 10, 8], raw_data=bytes(8))
    assert refusal(tmp_path, model([helper.make_node("Relu", ["x"], ["y"])], [short])) == [
        "model.onnx: constant 'w': 8 elements of data for shape [1024, 1024, 8] of INT8"
    ]
    huge = TensorProto(name="w", data_type=TensorProto.INT8, dims=[1 << 40, 1 << 30])
    assert refusal(tmp_path, model([helper.make_node("Relu", ["x"], ["y"])], [huge])) == [
        "model.onnx: constant 'w': shape [1099511627776, 1073741824]; allowed: 67108864 elements"
    ]


def test_folded_constants_cannot_grow_without_bound(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", [f"a{n}", f"a{n}"], [f"a{n + 1}"], axis=0) for n in range(40)]
    nodes.append(helper.make_node("Reshape", ["x", "a40"], ["y"]))
    found = refusal(tmp_path, model(nodes, [constant("a0", np.zeros(64), np.int64)]), UnsupportedError)
    assert found[0] == "model.onnx: node 14 (Concat): 'a14' is a constant; allowed: an activation"


def external(name: str, location: str, offset: int = 0, length: int = 24) -> bytes:
    tensor = TensorProto(name=name, data_type=TensorProto.INT8, dims=[2, 3, 2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": str(offset), "length": str(length)}.items():
        tensor.external_data.add(key=key, value=value)
    inputs = ["x", "s", "z", "w", "s", "zw", "s", "z"]
    return model([helper.make_node("QLinearConv", inputs, ["y"])], [tensor])


def test_external_data_beside_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(4) + WEIGHTS.astype(np.int8).tobytes())
    network = read(tmp_path, external("w", "weights.bin", 4)).network
    assert np.array_equal(np.asarray(network.tensors["qlinearconv_0.weight"].data), WEIGHTS.transpose(2, 3, 1, 0))


def test_external_data_outside_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(64))
    (folder / "link").symlink_to(tmp_path / "secret")
    for location in ("../secret", str(tmp_path / "secret"), "link", "none", ""):
        with pytest.raises(ConfigError) as refused:
            read(folder, external("w", location))
        assert str(refused.value).endswith(
            f"model.onnx: constant 'w': external data in '{location}'; allowed: a file in the model's folder"
        )


def test_external_data_stays_inside_its_file(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(20))
    assert refusal(tmp_path, external("w", "weights.bin", 4, 24)) == [
        "model.onnx: constant 'w': bytes 4 to 28 of a file of 20 bytes"
    ]


def mutated(content: bytes, number: int) -> bytes:
    """Cut the file off, or overwrite some of its bytes."""
    chance = np.random.default_rng(number)
    changed = bytearray(content)
    if number % 4 == 0:
        return bytes(changed[: int(chance.integers(len(changed)))])
    for _ in range(int(chance.choice([1, 2, 4, 16]))):
        place = int(chance.integers(len(changed)))
        changed[place] = int(chance.choice([0, 1, 127, 128, 255, chance.integers(256)]))
    return bytes(changed)


def sources() -> list[bytes]:
    """A small generated file, exported ones of a shipped network, and real ones where there are some."""
    spec = load_arch("edge16")
    network, options = compile_workload(spec, read_workload("digits_mlp")).network, lowering_options(spec)
    folder = os.environ.get("HWSIM_SHARED")
    names = ("micro_kws_m_static_qdq", "micro_kws_m_static_qoperator", "kws_ref_model_tf2onnx") if folder else ()
    exported = [qdq_file(network, options), qonnx_file(network, options)]
    return [conv_file(), *exported, *(Path(str(folder), "models", f"{name}.onnx").read_bytes() for name in names)]


def test_four_hundred_damaged_files_are_refused_or_read_quickly_and_in_little_memory(tmp_path: Path) -> None:
    contents = sources()
    begun, largest_kilobytes = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = set()
    for number in range(400):
        content = mutated(contents[number // 4 % len(contents)], number)
        try:
            read(tmp_path, content)
            outcomes.add("read")
        except ConfigError as error:
            outcomes.add("refused")
            assert all(line.startswith(str(tmp_path)) for line in error.problems)
        except UnsupportedError:
            outcomes.add("unsupported")
    assert {"read", "refused", "unsupported"} <= outcomes
    assert time.monotonic() - begun < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - largest_kilobytes < 1 << 20
