"""``hwsim explain``: a worked example as text and JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Hwsim

EXPLAIN = ("explain", "edge16", "digits_cnn", "--layer")
BUILDER = Path(__file__).parent.parent / "readers"


def test_text_goes_from_scales_to_the_float_value(hwsim: Hwsim) -> None:
    outcome = hwsim(*EXPLAIN, "logits", "--output", "3", "--terms", "2")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "logits of digits_cnn on edge16, sample 0: output [3], row 0 and channel 3 of the product"
    starts = [line.split("  ")[0] for line in lines]
    for first, second in (("input", "multiplier"), ("multiplier", "sum of the array"), ("code", "in floating point")):
        assert starts.index(first) < starts.index(second)
    assert any(line.split() == ["…", "29", "more", "…"] for line in lines)  # 32 terms: two first, one last
    assert "equal to the network's run" in outcome.out


def test_json_has_every_term(hwsim: Hwsim) -> None:
    found = hwsim(*EXPLAIN, "logits", "--output", "3", "--json").json
    terms = found["accumulation"]["terms"]
    assert len(terms) == 32
    assert found["accumulation"]["sum"] == sum(term["activation"] * term["weight"] for term in terms)
    constants = found["constants"]
    assert (
        found["requantized"]["sum"]
        == found["accumulation"]["sum"] + constants["bias"] + (constants["zero_point_constants"])
    )
    x, w, y = (found[f"{name}_grid"]["scale"] for name in ("input", "weight", "output"))
    assert found["multiplier"] == pytest.approx(w * x / y)
    assert (
        found["requantized"]["code"]
        == found["requantized"]["rescaling"]["stages"][-1]["value"] + (found["output_grid"]["zero_point"])
    )


def test_overflows_are_marked(hwsim: Hwsim) -> None:
    outcome = hwsim(*EXPLAIN, "logits", "--output", "3", "--sample", "2", "--set", "array.guard_bits=-3")
    assert "overflows: exactly" in outcome.out


def test_a_tflite_layer_of_known_numbers(hwsim: Hwsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.125 (1 (13 - 3) + 2 (-7 - 3) + 3 (3 - 3) + 100) = 11.25 → 11; 11 - 2 = 9."""
    monkeypatch.syspath_prepend(str(BUILDER))
    from tflite_files import dense_file

    model, codes = tmp_path / "dense.tflite", tmp_path / "x.npy"
    model.write_bytes(dense_file())
    np.save(codes, np.array([[13, -7, 3]], np.int8))
    arguments = ("explain", "edge16", str(model), "--inputs", str(codes), "--layer", "fully_connected_0")
    found = hwsim(*arguments, "--json").json
    assert (found["input_grid"]["scale"], found["input_grid"]["zero_point"]) == (0.5, 3)
    assert found["multiplier"] == 0.125
    assert found["accumulation"]["sum"] == 13 - 14 + 9
    assert found["constants"] == {"bias": 100, "weight_sum": 6, "zero_point_constants": -18, "row_sum": 0}
    assert found["requantized"]["rescaling"]["constants"] == {"M0": 2**30, "n": 2, "multiplier_bits": 31}
    assert (found["requantized"]["sum"], found["requantized"]["code"]) == (90, 9)
    assert (found["exact_real"], found["float_value"]) == (11.25, None)
    assert "in floating point" not in hwsim(*arguments).out


def test_wrong_arguments(hwsim: Hwsim) -> None:
    outcome = hwsim(*EXPLAIN, "logits", "--output", "a")
    assert (outcome.code, outcome.err) == (2, "hwsim: --output a; allowed: a number, or an index such as 0,3,5\n")
    assert hwsim(*EXPLAIN, "pool1").code == 3
