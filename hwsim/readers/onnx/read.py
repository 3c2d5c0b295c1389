"""From an ``.onnx`` file to a workload. Tensors keep the file's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.network.tensor import Shape
from hwsim.readers.onnx import cuts, dynamic, moves, qdq, qlinear, qonnx, real
from hwsim.readers.onnx.fold import OF_SHAPES, RULES, fold
from hwsim.readers.onnx.graph import Codes, Graph, Live, channels_last, plain
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import FileInput, FileModel, FileNode
from hwsim.readers.onnx.parse import parse_file
from hwsim.readers.onnx.patterns import OF_ELEMENTS, inside_units, with_layer_norms
from hwsim.readers.onnx.site import CODE_TYPES, Site
from hwsim.readers.onnx.whole_sums import with_whole_sums
from hwsim.readers.workload import Workload, refuse_operators, workload_of_file

IMAGE_READERS = ("Conv", "QLinearConv", "MaxPool", "AveragePool", "GlobalAveragePool", "QLinearAveragePool")
QUANTIZED = ("QuantizeLinear", "DequantizeLinear")
INTEGERS = ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")
MOVES = moves.BUILDERS | cuts.BUILDERS
RECURRENT = ("GRU", "LSTM")
PASSES_THROUGH = ("QuantizeLinear", "DequantizeLinear", "Relu")


def read_onnx(path: Path) -> Workload:
    """Return the network in a file; it has no samples of its own.

    Raises:
        ConfigError: no such file, or one that is damaged or makes no sense.
        UnsupportedError: operators or types that are not supported; all of them are listed.
    """
    model = parse_file(path)
    with np.errstate(all="ignore"):  # what is not finite is refused where it matters
        return workload_of_file(path, lambda: _network(model, path.stem))


def _network(model: FileModel, name: str) -> Network:
    holds_codes = _is_quantized(model)
    model = with_whole_sums(model) if holds_codes else with_layer_norms(model)
    graph = Graph(model, dict(model.constants), holds_codes=holds_codes)
    for one in model.inputs:
        graph.enter(_input(model, one))
    reals = Reals(graph, frozenset() if holds_codes else inside_units(model))
    _build(graph, reals)
    outputs = [reals.finish(one.name) for one in model.outputs]
    return graph.network(name, [one.name for one in model.inputs], [one.name for one in outputs])


def _build(graph: Graph, reals: Reals) -> None:
    """Add what each node does.

    Raises:
        UnsupportedError: what some nodes ask for; all that can be known is listed, and what would run.
    """
    problems: list[str] = []
    runs: list[str] = []
    missing: set[str] = set()
    for node in graph.model.nodes:
        site = Site(graph, node)
        if missing.intersection(node.inputs) and _is_known(site):
            missing.update(node.outputs)  # what it reads is not there: nothing can be said about it
            continue
        try:
            _add(site, reals)
            reals.name_layer(node)
            runs.append(node.kind)
        except UnsupportedError as error:
            problems.append(str(error))
            missing.update(node.outputs)
    refuse_operators(problems, runs, len(graph.model.nodes))


def _is_quantized(model: FileModel) -> bool:
    """Tell whether a file has integers for activations; else hwsim quantizes it."""
    if any(one.dtype != "FLOAT" for one in model.inputs):
        return True
    return any(
        (node.domain, node.kind) in qlinear.BUILDERS or node.kind in (*QUANTIZED, *INTEGERS) or _is_qonnx(node)
        for node in model.nodes
    )


def _is_qonnx(node: FileNode) -> bool:
    return node.domain in qonnx.DOMAINS and node.kind in qonnx.BUILDERS


def _domain(node: FileNode) -> str:
    """Return a node's domain; ONNX Runtime's own quantizers of more types are the standard ones."""
    return "" if node.kind in QUANTIZED and node.domain == qlinear.MICROSOFT else node.domain


def _is_known(site: Site) -> bool:
    """Tell whether an operator runs, or computes constants; nothing can be said of one whose inputs are missing."""
    of_constants = site.node.kind in RULES or site.node.kind in OF_SHAPES
    return _runs(site) or (of_constants and not site.node.domain)


def _runs(site: Site) -> bool:
    kind, domain = site.node.kind, _domain(site.node)
    if not site.graph.holds_codes and not domain and kind in real.BUILDERS:
        return True
    if (domain, kind) in qlinear.BUILDERS or _is_qonnx(site.node):
        return True
    return not domain and any(kind in builders for builders in (dynamic.BUILDERS, MOVES, qdq.BUILDERS))


def _add(site: Site, reals: Reals) -> None:
    kind, domain = site.node.kind, _domain(site.node)
    if fold(site, reals):
        return
    if (domain, kind) in qlinear.BUILDERS:
        qlinear.BUILDERS[domain, kind](site)
    elif _is_qonnx(site.node):
        qonnx.BUILDERS[kind](site, reals)
    elif domain or not _runs(site):
        raise UnsupportedError(f"{site.label}: no such operator here{f' (domain {domain[:40]})' if domain else ''}")
    elif kind in real.BUILDERS and not site.graph.holds_codes and not _is_in_unit(site, reals):
        real.BUILDERS[kind](site, reals)
    elif kind in dynamic.BUILDERS:
        dynamic.BUILDERS[kind](site, reals)
    elif kind in MOVES:
        MOVES[kind](site, reals)
    elif kind in ("Relu", "Clip") and _is_codes(site, reals):
        _clamp(site)
    else:
        qdq.BUILDERS[kind](site, reals)


def _is_in_unit(site: Site, reals: Reals) -> bool:
    """Tell whether a node is part of a function of single elements that several nodes write out."""
    return site.node.kind in OF_ELEMENTS and reals.is_inside((*site.node.inputs, *site.node.outputs))


def _is_codes(site: Site, reals: Reals) -> bool:
    live = site.graph.live.get(site.input(0))
    return live is not None and live.codes is not None and site.input(0) not in reals


def _clamp(site: Site) -> None:
    """Relu and Clip of integers compare the numbers as they are."""
    live = site.live(0)
    assert live.codes is not None  # noqa: S101  (`_is_codes` saw to it)
    low, high = live.codes.word.min, live.codes.word.max
    if site.node.kind == "Relu":
        low = max(low, 0)
    else:
        low = max(low, int(site.array(1).reshape(-1)[0])) if site.has(1) else low
        high = min(high, int(site.array(2).reshape(-1)[0])) if site.has(2) else high
    if (low, high) == (live.codes.word.min, live.codes.word.max):
        moves.rename(site, live)
        return
    moves.clamp_codes(site, live, low, high)


def _input(model: FileModel, found: FileInput) -> Live:
    """Return an input; an open size of samples is 1; images that are convolved lie channels last.

    Raises:
        ConfigError: other open sizes, or none at all.
        UnsupportedError: a type that is no number's.
    """
    if found.shape is None or not found.shape:
        raise ConfigError(f"input '{found.name[:80]}' has no shape")
    samples = 1 if _is_sequence(model, found.name) and found.shape[0] else 0
    shape: Shape = tuple(size or int(axis == samples) for axis, size in enumerate(found.shape))
    if 0 in shape:
        raise ConfigError(
            f"input '{found.name[:80]}' of shape {[size or 'open' for size in found.shape]}; "
            "allowed: only the first size open, or the second one of what a recurrent operator reads"
        )
    order = channels_last(shape) if len(shape) in (3, 4) and _is_image(model, found.name) else plain(shape)
    kind = found.dtype.lower()
    if kind == "float":
        return Live(found.name, shape, order, None)
    if kind not in CODE_TYPES:
        raise UnsupportedError(f"input '{found.name[:80]}' is {found.dtype}; allowed: FLOAT, {_types()}")
    return Live(found.name, shape, order, Codes(CODE_TYPES[kind]))


def _types() -> str:
    return ", ".join(name.upper() for name in CODE_TYPES)


def _is_sequence(model: FileModel, name: str) -> bool:
    """Tell whether a tensor's first axis is that of steps: recurrent operators read it."""
    return any(node.inputs[:1] == (name,) and node.kind in RECURRENT for node in model.nodes)


def _is_image(model: FileModel, name: str) -> bool:
    """Tell whether a tensor goes, element by element, into windows: the layout of the input is then theirs."""
    for node in model.nodes:
        if node.inputs and node.inputs[0] == name:
            if node.kind in IMAGE_READERS:
                return True
            if node.kind in PASSES_THROUGH:
                return _is_image(model, node.outputs[0])
    return False
