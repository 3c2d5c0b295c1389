"""``hwsim run --trace`` and the picture of a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Hwsim

RUN = ("run", "edge16", "digits_mlp", "--samples", "1")


def test_a_trace_is_written_and_drawn(hwsim: Hwsim, here: Path) -> None:
    outcome = hwsim(*RUN, "--trace", "t.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "wrote t.json"
    trace = json.loads((here / "t.json").read_text())
    assert trace["otherData"]["workload"] == "digits_mlp"
    drawn = hwsim("plot", "t.json")
    assert (drawn.code, drawn.out) == (0, "plot  t.png (also .svg, .csv)\n")
    assert (here / "t.png").read_bytes().startswith(b"\x89PNG")
    slices = (here / "t.csv").read_text().splitlines()
    assert slices[0] == "track,name,layer,start,end"
    assert len(slices) - 1 == sum(event["ph"] == "X" for event in trace["traceEvents"])


def test_shapes_alone_can_be_traced(hwsim: Hwsim, here: Path) -> None:
    (here / "net.csv").write_text("Layer,M,N,K,\na,3,4,5,\n")
    assert hwsim("run", "edge16", "net.csv", "--trace", "t.json").code == 0
    assert any(event["name"] == "compute" for event in json.loads((here / "t.json").read_text())["traceEvents"])


def test_look_ups_of_a_cell_update_begin_when_the_vector_unit_has_finished(hwsim: Hwsim, here: Path) -> None:
    """32 cells on one lane of each unit: 12 sums and products for each cell, then 5 look-ups."""
    lanes = ("--set", "vector_unit.lanes=1", "--set", "activation_lut.lanes=1")
    assert hwsim("run", "edge16", "digits_lstm", "--samples", "1", "--trace", "t.json", *lanes).code == 0
    events = json.loads((here / "t.json").read_text())["traceEvents"]
    tracks = {one["tid"]: one["args"]["name"] for one in events if one["name"] == "thread_name"}
    update = {tracks[one["tid"]]: one for one in events if one["ph"] == "X" and one["name"] == "lstm_cell_3"}
    computed, looked_up = update["vector unit"], update["activation LUT"]
    assert (computed["dur"], looked_up["dur"]) == (12 * 32, 5 * 32)
    assert looked_up["ts"] == computed["ts"] + computed["dur"]


def test_floats_are_not_traced(hwsim: Hwsim, here: Path) -> None:
    outcome = hwsim(*RUN, "--trace", "t.json", "--set", "array.number_format=fp16")
    assert outcome.code == 2
    assert outcome.err == "hwsim: trace with array.number_format fp16; allowed: integer\n"
    assert list(here.iterdir()) == []


NAMED = '{"name": "thread_name", "ph": "M", "tid": 1, "args": {"name": "array"}}'
SLICE = '{{"name": "fill", "ph": "X", "tid": 1, "args": {{"layer": "a"}}, "ts": {}, "dur": {}}}'


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": 1}',
        b"[1]",
        b'{"traceEvents": [1]}',
        *(
            f'{{"traceEvents": [{NAMED}, {SLICE.format(start, cycles)}]}}'.encode()
            for start, cycles in (('"a"', '"b"'), (0, "NaN"), (0, -1), (-1, 2), (0, "1e999"), ("1" + 400 * "0", 1))
        ),
    ],
)
def test_what_is_no_trace_is_not_drawn(hwsim: Hwsim, here: Path, text: bytes) -> None:
    (here / "t.json").write_bytes(text)
    outcome = hwsim("plot", "t.json")
    assert outcome.code == 2
    assert outcome.err == "hwsim: t.json: no trace of a run, as hwsim run --trace writes it\n"


def test_a_trace_without_slices_is_not_drawn(hwsim: Hwsim, here: Path) -> None:
    (here / "t.json").write_text('{"traceEvents": []}')
    outcome = hwsim("plot", "t.json")
    assert (outcome.code, outcome.err) == (2, "hwsim: t.json: a trace without slices\n")
