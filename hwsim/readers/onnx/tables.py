"""Builder of Gather from a constant table, at places that an activation's codes say: a function of single codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwsim.counts import Counts
from hwsim.errors import ConfigError, UnsupportedError
from hwsim.numerics.lut import every_code
from hwsim.numerics.onnxruntime.float32 import Float32Array, dequantize
from hwsim.readers.onnx.expressions import Expression
from hwsim.readers.onnx.lazy import Reals
from hwsim.readers.onnx.model import Array
from hwsim.readers.onnx.site import Site

LARGEST_BITS = 16


def look_up(site: Site, reals: Reals) -> None:
    """Inputs: entries, places; one look-up for each place.

    Raises:
        ConfigError: entries that are not finite, or places beyond them.
        UnsupportedError: entries of several axes, or places that no single code says.
    """
    entries = np.asarray(site.array(0))
    if entries.ndim != 1 or site.axis(site.integer("axis", 0), 1):
        raise UnsupportedError(f"{site.label}: entries of shape {list(entries.shape)}; allowed: one axis")
    if entries.dtype.kind not in "iuf" or not np.all(np.isfinite(entries)):
        raise ConfigError(f"{site.label}: entries that are no finite numbers")
    places, values = reals.expression(site.input(1), site.label), entries.astype(np.float32)
    _check_places(site, places, entries)
    inner = places.body

    def looked_up(sources: Sequence[Float32Array]) -> Float32Array:
        return values[inner(sources).astype(np.int64)]

    counts = Counts({("activation_lut", "lookup"): places.elements})
    reals.put(site.output, replace(places, written=None, body=looked_up, counts=counts))


def _check_places(site: Site, places: Expression, entries: Array) -> None:
    codes = places.leaves[0].codes
    if not places.pointwise or len(places.leaves) != 1 or codes is None or codes.grid is None:
        raise UnsupportedError(f"{site.label}: places that are no function of one tensor's codes")
    if codes.word.bits > LARGEST_BITS:
        raise UnsupportedError(f"{site.label}: places from {codes.word.bits}-bit codes; allowed: up to {LARGEST_BITS}")
    found = places.body([dequantize(every_code(codes.word)[np.newaxis], codes.grid)])
    low, high = int(found.min()), int(found.max())
    if low < -entries.size or high >= entries.size:
        raise ConfigError(f"{site.label}: places {low} to {high}; allowed: {-entries.size} to {entries.size - 1}")
