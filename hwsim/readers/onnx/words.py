"""Widths of codes that ONNX has no type for: a wider type, and a Clip to the range of fewer bits."""

from __future__ import annotations

import numpy as np

from hwsim.numerics.formats import MIN_BITS, IntFormat
from hwsim.readers.onnx.site import Site


def clipped_word(site: Site, word: IntFormat) -> IntFormat:
    """Return the narrower format that codes have where all that reads them is a Clip to its range."""
    readers = [node for node in site.graph.model.nodes if site.output in node.inputs]
    if len(readers) != 1 or readers[0].kind != "Clip" or len(readers[0].inputs) != 3:
        return word
    ends = [site.graph.arrays.get(name) for name in readers[0].inputs[1:]]
    if any(end is None or end.size != 1 for end in ends):
        return word
    low, high = (int(np.asarray(end).reshape(-1)[0]) for end in ends)
    return word_between(low, high, word) or word


def word_between(low: float, high: float, word: IntFormat) -> IntFormat | None:
    """Return the format no wider than ``word`` that has the codes from one to another; None if there is none."""
    for bits in range(MIN_BITS, word.bits + 1):
        for narrow in (False, True) if word.signed else (False,):
            found = IntFormat(bits, word.signed, narrow=narrow)
            if (found.min, found.max) == (low, high):
                return found
    return None


def holds(word: IntFormat, narrower: IntFormat) -> bool:
    """Tell whether a format has every code of another of its kind."""
    return word.signed == narrower.signed and narrower.bits <= word.bits
