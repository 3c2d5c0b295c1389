"""Whole public networks: every tensor equal to TensorFlow Lite's interpreters', and what a run reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_samples import digits, images, model, wide_images
from shared_files import shared

from hwsim.config.load import load_arch
from hwsim.errors import ConfigError
from hwsim.network.network import Network
from hwsim.numerics.tflite.profiles import PROFILES
from hwsim.oracles.ask import Case, ask
from hwsim.readers.read import read_workload
from hwsim.samples import choose_samples
from hwsim.simulate import integer_tensors, run

NETWORKS = {
    "pretrainedResnet_quant": 3,
    "kws_ref_model": 3,
    "vww_96_int8": 1,
    "ad01_int8": 10,
    "micro_speech_quantized": 4,
    "hello_world_int8": 200,
    "catdog": 20,
    "rnnoise_INT8": 20,
    "trained_lstm_int8": 10,
    "resnet8_static_wi8_ai16": 3,
}
WIDE_ARRAY = "array.activation_bits=16"


def samples_for(name: str, network: Network, count: int) -> dict[str, np.ndarray]:
    """Real samples where there are some, else random ones."""
    if name == "pretrainedResnet_quant":
        return {network.input: images(count)[0]}
    if name == "resnet8_static_wi8_ai16":
        return {network.input: wide_images(count)[0]}
    if name == "micro_speech_quantized":
        with np.load(shared("models", "data", "micro_speech_features.npz"), allow_pickle=False) as data:
            return {network.input: np.stack([data[word].reshape(-1) for word in data.files])}
    if name == "trained_lstm_int8":
        return {network.input: digits(count)[0]}
    random = np.random.default_rng(0)
    shapes = {tensor: (count, *network.sample_shape(tensor)) for tensor in network.inputs}
    return {
        tensor: random.integers(-128, 128, shape).astype(np.int8)
        if network.tensors[tensor].quantization
        else random.uniform(0, 1, shape).astype(np.float32)
        for tensor, shape in shapes.items()
    }


def differences(path: Path, profile: str, inputs: dict[str, np.ndarray]) -> tuple[int, int]:
    """Return how many elements differ of all tensors that an interpreter shows, and how many there are."""
    workload = read_workload(path)
    network = workload.network
    spec = load_arch("edge16", [f"requantizer.rounding_profile={profile}", WIDE_ARRAY])
    ours = integer_tensors(spec, choose_samples(workload, inputs=inputs))
    given = [inputs[tensor].reshape(-1, *network.tensors[tensor].shape) for tensor in network.inputs]
    (answer,) = ask(profile, [Case(path.read_bytes(), given)])
    assert not answer.failure
    pairs = [
        (values.reshape(-1), answer.tensors[int(name)].reshape(-1))
        for name, values in ours.items()
        if int(name) in answer.tensors
    ]
    return sum(int(np.count_nonzero(one != other)) for one, other in pairs), sum(one.size for one, _ in pairs)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_element_of_every_tensor_is_the_interpreters(name: str, profile: str) -> None:
    path = model(name)
    network = read_workload(path).network
    found, elements = differences(path, profile, samples_for(name, network, NETWORKS[name]))
    assert elements > 200
    assert found == 0


def test_all_tensors_of_the_file_are_there() -> None:
    """The residual network has 38 tensors: 17 activations, the others constants."""
    workload = read_workload(model("pretrainedResnet_quant"))
    ours = integer_tensors(load_arch("edge16", []), choose_samples(workload, inputs=images(1)[0]))
    assert (len(ours), ours["0"].shape, ours["37"].shape) == (17, (1, 32, 32, 3), (1, 10))
    assert {values.dtype.name for values in ours.values()} == {"int8"}


@pytest.mark.parametrize("engine", ["stepped", "functional"])
def test_a_run_reports_cycles_energy_overflows_and_accuracy(engine: str) -> None:
    inputs, labels = images(20)
    path = model("pretrainedResnet_quant")
    result = run("edge16", path, inputs=inputs, labels=labels, engine=engine)  # type: ignore[arg-type]
    assert [layer.layer for layer in result.layer_results][:4] == ["conv_2d_0", "conv_2d_1", "conv_2d_2", "add_3"]
    assert result.totals["macs"] == 12_501_632
    assert result.totals["total_cycles"] == sum(layer.total_cycles for layer in result.layer_results)
    assert result.totals["energy_pj"] > 0
    assert (result.float_accuracy, result.sqnr_db) == (None, None)
    assert result.accuracy is not None
    assert result.accuracy >= 0.85


@pytest.mark.parametrize("zero_point", ["folded", "operand"])
@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary"])
def test_an_lstm_runs_on_the_machine_step_by_step(dataflow: str, zero_point: str) -> None:
    """A product of all 28 rows, a start; a product and a cell update for each; hidden and last states, one dense."""
    inputs, labels = digits(2)
    settings = [f"array.dataflow={dataflow}", f"array.zero_point={zero_point}"]
    result = run("edge16", model("trained_lstm_int8"), inputs=inputs, labels=labels, overrides=settings)
    assert len(result.layer_results) == 2 + 2 * 28 + 4
    assert result.totals["macs"] == 28 * (28 + 20) * 80 + 560 * 10
    assert result.totals["overflow_events"] == 0
    assert result.accuracy == 1.0


def test_a_narrow_accumulator_overflows_in_the_file_too() -> None:
    """Its finished sums need 19 bits where zero points are subtracted first; partial sums one more."""
    inputs, _ = images(1)
    path = model("pretrainedResnet_quant")
    narrow, ample = (
        run("edge16", path, inputs=inputs, engine="functional", overrides=["array.zero_point=operand", guard_bits])
        for guard_bits in ("array.guard_bits=0", "array.guard_bits=4")
    )
    assert narrow.totals["overflow_events"] > 0
    assert ample.totals["overflow_events"] == 0


def test_a_file_keeps_its_widths() -> None:
    with pytest.raises(ConfigError) as refused:
        run("edge16", model("hello_world_int8"), inputs=np.zeros((1, 1), np.int8), overrides=["array.weight_bits=4"])
    assert refused.value.problems == tuple(
        f"layer fully_connected_{number}: weights of 8 bits; array.weight_bits is 4; allowed: 8 or more"
        for number in range(3)
    )
    assert refused.value.exit_code == 2


def test_a_wider_array_runs_it_unchanged() -> None:
    inputs, _ = images(1)
    path = model("pretrainedResnet_quant")
    chosen = choose_samples(read_workload(path), inputs=inputs)
    wide = load_arch("edge16", ["array.weight_bits=12", "array.activation_bits=16", "array.zero_point=operand"])
    assert np.array_equal(integer_tensors(wide, chosen)["37"], integer_tensors(load_arch("edge16", []), chosen)["37"])


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (np.zeros((2, 1)), "input 0 of type float64; allowed: integers from -128 to 127"),
        (np.full((2, 1), 200), "input 0 from 200 to 200; allowed: -128 to 127"),
        (np.zeros((2, 3), np.int8), "input 0 of shape [2, 3]; allowed: [samples, 1], one sample or more"),
        ({"7": np.zeros((2, 1), np.int8)}, "inputs for 7; allowed: one array for each of 0"),
    ],
)
def test_inputs_are_codes_as_the_file_has_them(inputs: np.ndarray, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_samples(read_workload(model("hello_world_int8")), inputs=inputs)
    assert str(refused.value) == text


def test_several_inputs_have_as_many_samples() -> None:
    workload = read_workload(model("rnnoise_INT8"))
    inputs = samples_for("rnnoise_INT8", workload.network, 2)
    inputs["1"] = inputs["1"][:1]
    with pytest.raises(ConfigError) as refused:
        choose_samples(workload, inputs=inputs)
    assert str(refused.value) == "inputs of 1, 2 samples; allowed: as many of each"
