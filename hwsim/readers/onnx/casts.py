"""Builder of Cast, and of integers that are computed with: whole numbers that float32 holds."""

from __future__ import annotations

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.network.exact_sums import EXACT_SUM
from hwsim.network.operators.matmul import MatmulOperator
from hwsim.numerics.formats import IntFormat
from hwsim.numerics.onnxruntime.float32 import Float32Array
from hwsim.numerics.quantization import Quantization
from hwsim.readers.onnx.expressions import apply, has_grid, leaf
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.moves import rename
from hwsim.readers.onnx.rescaled import bounds_of
from hwsim.readers.onnx.site import Site
from hwsim.readers.onnx.words import holds, word_between

FLOAT, UINT8, INT8, INT32, DOUBLE = 1, 2, 3, 6, 11  # of the attribute of Cast
ALLOWED = "1 (FLOAT), 2 (UINT8), 3 (INT8), 6 (INT32), 11 (DOUBLE)"
BYTES = {UINT8: IntFormat(8, signed=False), INT8: IntFormat(8)}
WIDEST_BITS = 16
OF_ROWS = ("LayerNormalization", "Softmax")


def unscaled(word: IntFormat, zero_point: int = 0) -> Quantization:
    """Return the quantization of integers that stand for themselves."""
    return Quantization(np.asarray(1.0), np.asarray(zero_point, np.int64), word)


def cast(site: Site, reals: Reals) -> None:
    """Integers to reals, and to integers of another width; reals to integers, towards zero.

    Reals in float64 are taken as float32: functions of rows, which files write so, round only what they return.
    """
    kind = site.integer("to", 0)
    if kind not in (FLOAT, INT32, DOUBLE, *BYTES):
        raise UnsupportedError(f"{site.label}: to type {kind}; allowed: {ALLOWED}")
    if kind == DOUBLE and not _feeds_rows(site):
        raise UnsupportedError(f"{site.label}: float64; allowed: before {', '.join(OF_ROWS)}")
    if kind in BYTES:
        _to_bytes(site, reals, BYTES[kind])
    elif site.input(0) not in reals:
        reals.put(site.output, leaf(site.graph.on_grid(site.live(0), _own_grid(site))))
    elif kind == INT32:
        _to_integers(site, reals)
    else:
        reals.put(site.output, reals.expression(site.input(0), site.label))


def _own_grid(site: Site) -> Quantization:
    """Return the grid on which integers stand for themselves, the one that they have where it is such."""
    codes = site.live(0).codes
    assert codes is not None  # noqa: S101  (else it is one of the reals)
    grid = codes.grid or unscaled(codes.word)
    stands = not grid.scale.ndim and float(grid.scale) == 1.0 and not int(grid.zero_point)
    return grid if stands else unscaled(codes.word)


def _to_integers(site: Site, reals: Reals) -> None:
    """Codes where a Clip before says of how many bits; else whole reals."""
    found = reals.expression(site.input(0), site.label)
    word = _clipped_word(site)
    if word is None:
        reals.put(site.output, apply(found, np.trunc, "shift"))
    else:
        whole = apply(found, np.trunc, "shift")
        reals.put(site.output, leaf(reals.compute(whole, site.output, unscaled(word))))


def _clipped_word(site: Site) -> IntFormat | None:
    before = next((node for node in site.graph.model.nodes if site.input(0) in node.outputs), None)
    if before is None or before.kind != "Clip" or len(before.inputs) != 3:
        return None
    ends = [site.graph.arrays.get(name) for name in before.inputs[1:]]
    if any(end is None or end.size != 1 for end in ends):
        return None
    low, high = (float(np.asarray(end).reshape(-1)[0]) for end in ends)
    return word_between(low, high, IntFormat(WIDEST_BITS, signed=low < 0))


def _to_bytes(site: Site, reals: Reals, word: IntFormat) -> None:
    """Codes of 8 bits, which wrap as they are cut."""
    name = site.input(0)
    found = (
        reals.expression(name, site.label) if name in reals else leaf(site.graph.on_grid(site.live(0), _own_grid(site)))
    )
    codes = found.leaves[0].codes
    if (
        found.is_leaf
        and codes is not None
        and holds(word, codes.word)
        and has_grid(found.leaves[0], unscaled(codes.word))
    ):
        rename(site, found.leaves[0])
        return

    def cut(values: Float32Array) -> Float32Array:
        return word.wrap(np.trunc(values).astype(np.int64)).astype(np.float32)

    reals.compute(apply(found, cut, "shift"), site.output, unscaled(word))


def sums_as_reals(site: Site, reals: Reals, place: int, addend: Array) -> None:
    """Let integer sums be added to in float32, which holds what comes of it.

    Raises:
        UnsupportedError: it might not.
    """
    name = site.input(place)
    live = site.graph.live.get(name)
    if name in reals or live is None or live.codes is None:
        return
    operator = next((one for one in site.graph.operators if one.output == name), None)
    if isinstance(operator, MatmulOperator):
        largest = bounds_of(site.graph, operator).sums + float(np.abs(addend.astype(np.float64)).max(initial=0))
        if largest > EXACT_SUM:
            raise UnsupportedError(f"{site.label}: integer sums up to {largest:.0f}; allowed: {EXACT_SUM}")
        reals.put(name, leaf(site.graph.on_grid(live, unscaled(live.codes.word))))


def _feeds_rows(site: Site) -> bool:
    """Tell whether what reads a node's output are functions of rows alone, whose results are brought to float32."""
    nodes = site.graph.model.nodes
    readers = [node for node in nodes if site.output in node.inputs]
    narrowed = [
        one.kind == "Cast" and one.attributes.get("to") == FLOAT
        for node in readers
        for one in nodes
        if not set(node.outputs).isdisjoint(one.inputs)
    ]
    return bool(readers) and all(node.kind in OF_ROWS for node in readers) and bool(narrowed) and all(narrowed)
