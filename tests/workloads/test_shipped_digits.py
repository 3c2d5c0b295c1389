"""The shipped digits networks, read and computed in plain NumPy: the files must make sense without hwsim."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

WORKLOADS = Path(__file__).parents[2] / "workloads"
NAMES = ("digits_mlp", "digits_cnn", "digits_lstm", "digits_transformer")


class ShippedWorkload:
    """A workload folder's YAML and arrays, and its float network after the file's definitions."""

    def __init__(self, name):
        self.folder = WORKLOADS / name
        self.spec = yaml.safe_load((self.folder / "workload.yaml").read_text(encoding="utf-8"))
        self.npz = self.folder / self.spec["arrays"]
        with np.load(self.npz, allow_pickle=False) as arrays:
            self.arrays = dict(arrays)

    def data(self, role):
        return self.arrays[self.spec["data"][role]]

    def logits(self, inputs):
        *_, (_, _, logits) = self.steps(inputs)
        return logits

    def steps(self, inputs):
        """Each layer with the values that it reads first and what it makes of all."""
        values, last = {"input": inputs}, "input"
        for layer in self.spec["layers"]:
            read = [values[name] for name in layer.get("inputs", [last])]
            last = layer["name"]
            values[last] = LAYERS[layer["type"]](*read, layer, self.parameters(last))
            yield layer, read[0], values[last]

    def parameters(self, layer_name):
        prefix = layer_name + "."
        return {key.removeprefix(prefix): a for key, a in self.arrays.items() if key.startswith(prefix)}

    def expected_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The key and shape of every parameter that the YAML asks for, from the shapes flowing through it."""
        for layer, read, _ in self.steps(np.zeros((1, *self.spec["input_shape"]), np.float32)):
            for parameter, parameter_shape in expected_parameters(layer, read.shape[1:]).items():
                yield f"{layer['name']}.{parameter}", parameter_shape


def expected_parameters(layer, input_shape):
    channels = input_shape[-1]
    match layer["type"]:
        case "dense":
            weight, outputs = (channels, layer["units"]), layer["units"]
        case "conv2d":
            weight, outputs = (*layer["kernel"], channels, layer["filters"]), layer["filters"]
        case "lstm":
            columns = 4 * layer["units"]
            weights = {"input_weight": (channels, columns), "recurrent_weight": (layer["units"], columns)}
            return weights | {"bias": (columns,)}
        case "layer_norm":
            return dict.fromkeys(["gamma", "beta"], (channels,))
        case "position_embedding":
            return {"embedding": input_shape}
        case "batch_norm":
            return dict.fromkeys(["gamma", "beta", "mean", "variance"], (channels,))
        case _:
            return {}
    return {"weight": weight} | ({"bias": (outputs,)} if layer.get("bias", True) else {})


def dense(values, layer, parameters):
    return values @ parameters["weight"] + parameters.get("bias", 0)


def conv2d(values, layer, parameters):
    kernel, stride = layer["kernel"], layer.get("stride", [1, 1])
    if layer.get("padding", "valid") == "same":
        values = padded_same(values, kernel, stride)
    taps = windows(values, kernel, stride)
    return np.einsum("nyxcij,ijcf->nyxf", taps, parameters["weight"]) + parameters.get("bias", 0)


def padded_same(values, kernel, stride):
    """TensorFlow's rule: ceil(size / stride) outputs, the smaller half of the zeros at the top and left."""
    pads = [(0, 0)]
    for size, taps, step in zip(values.shape[1:3], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + taps - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(values, [*pads, (0, 0)])


def windows(values, size, stride):
    """Every window of `size`, as (sample, row, column, channel, window row, window column)."""
    return np.lib.stride_tricks.sliding_window_view(values, size, axis=(1, 2))[:, :: stride[0], :: stride[1]]


def max_pool2d(values, layer, parameters):
    return windows(values, layer["pool"], layer["stride"]).max(axis=(4, 5))


def batch_norm(values, layer, parameters):
    normal = (values - parameters["mean"]) / np.sqrt(parameters["variance"] + layer["epsilon"])
    return parameters["gamma"] * normal + parameters["beta"]


def lstm(values, layer, parameters):
    """Gates side by side: input, forget, cell, output; the last hidden state."""
    hidden = cell = np.zeros((len(values), layer["units"]))
    for inputs in values.swapaxes(0, 1):
        sums = inputs @ parameters["input_weight"] + hidden @ parameters["recurrent_weight"] + parameters["bias"]
        input_gate, forget_gate, new, output_gate = np.split(sums, 4, axis=1)
        cell = sigmoid(forget_gate) * cell + sigmoid(input_gate) * np.tanh(new)
        hidden = sigmoid(output_gate) * np.tanh(cell)
    return hidden


def matmul(left, right, layer, parameters):
    """Head by head, on equal parts of the last axes."""
    lefts, rights = (np.split(one, layer["heads"], axis=2) for one in (left, right))
    if layer.get("transpose", False):
        rights = [one.swapaxes(1, 2) for one in rights]
    products = [one @ other for one, other in zip(lefts, rights, strict=True)]
    return layer.get("scale", 1.0) * np.concatenate(products, axis=2)


def softmax(values, layer, parameters):
    powers = [np.exp(one - one.max(axis=2, keepdims=True)) for one in np.split(values, layer["heads"], axis=2)]
    return np.concatenate([one / one.sum(axis=2, keepdims=True) for one in powers], axis=2)


def layer_norm(values, layer, parameters):
    normal = (values - values.mean(axis=2, keepdims=True)) / np.sqrt(values.var(axis=2, keepdims=True) + 1e-5)
    return parameters["gamma"] * normal + parameters["beta"]


def position_embedding(values, layer, parameters):
    return values + parameters["embedding"]


def gelu(values, layer, parameters):
    return 0.5 * values * (1 + np.vectorize(math.erf)(values / math.sqrt(2)))


def add(first, second, layer, parameters):
    return first + second


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def relu(values, layer, parameters):
    return np.maximum(values, 0)


def flatten(values, layer, parameters):
    return values.reshape(len(values), -1)


LAYERS = {
    "dense": dense, "conv2d": conv2d, "max_pool2d": max_pool2d,
    "batch_norm": batch_norm, "relu": relu, "flatten": flatten, "lstm": lstm,
    "matmul": matmul, "softmax": softmax, "layer_norm": layer_norm, "position_embedding": position_embedding,
    "gelu": gelu, "add": add,
}  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def workload(request):
    return ShippedWorkload(request.param)


def test_the_folder_and_the_network_have_one_name(workload):
    assert workload.spec["name"] == workload.folder.name
    assert workload.spec["schema_version"] == 1


def test_there_are_540_test_samples_and_256_for_calibration(workload):
    shape = tuple(workload.spec["input_shape"])
    assert workload.data("inputs").shape == (540, *shape)
    assert workload.data("labels").shape == (540,)
    assert workload.data("calibration").shape == (256, *shape)


def test_the_arrays_are_exactly_the_parameters_and_data_of_the_yaml(workload):
    parameters = dict(workload.expected_shapes())
    assert set(workload.arrays) == set(parameters) | set(workload.spec["data"].values())
    assert {key: workload.arrays[key].shape for key in parameters} == parameters


def test_everything_is_finite_float32_but_the_uint8_labels(workload):
    labels = workload.spec["data"]["labels"]
    assert {key: str(array.dtype) for key, array in workload.arrays.items()} == {
        key: "uint8" if key == labels else "float32" for key in workload.arrays
    }
    assert all(np.isfinite(array).all() for array in workload.arrays.values())


@pytest.mark.parametrize("role", ["inputs", "calibration"])
def test_pixels_are_sixteenths_from_0_to_1(workload, role):
    sixteenths = workload.data(role) * 16
    assert np.array_equal(sixteenths, np.round(sixteenths))
    assert sixteenths.min() == 0
    assert sixteenths.max() == 16


def test_every_digit_is_about_a_tenth_of_the_test_set(workload):
    counts = np.bincount(workload.data("labels"), minlength=10)
    assert len(counts) == 10
    assert counts.min() >= 51
    assert counts.max() <= 57


def test_the_float_network_recognizes_97_percent_of_the_test_digits(workload):
    logits = workload.logits(workload.data("inputs"))
    assert logits.shape == (540, 10)
    assert np.mean(logits.argmax(axis=1) == workload.data("labels")) >= 0.97


def test_no_weight_channel_has_outliers_that_would_waste_8_bits(workload):
    """The largest weight of an output channel stays within a few standard deviations of that channel."""
    for key, weight in workload.arrays.items():
        if key.endswith("weight"):
            channels = weight.reshape(-1, weight.shape[-1])
            assert (np.abs(channels).max(axis=0) / np.sqrt(np.mean(channels**2, axis=0))).max() < 6, key


def test_the_file_is_small(workload):
    assert workload.npz.stat().st_size < 120_000


def test_all_networks_share_one_split():
    first, *others = map(ShippedWorkload, NAMES)
    for role in ("inputs", "labels", "calibration"):
        assert all(np.array_equal(first.data(role).ravel(), other.data(role).ravel()) for other in others)


def test_images_are_scikit_learns_and_calibration_never_sees_a_test_image(workload):
    datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = datasets.load_digits(return_X_y=True)
    index = {(row / 16).astype(np.float32).tobytes(): i for i, row in enumerate(pixels)}
    assert len(index) == len(pixels)  # no two images are equal, so pixels tell the index
    test = [index[sample.tobytes()] for sample in workload.data("inputs")]
    calibration = [index[sample.tobytes()] for sample in workload.data("calibration")]
    assert np.array_equal(labels[test], workload.data("labels"))
    assert len(set(test) | set(calibration)) == 540 + 256
