"""Memory images: what the banks, constants and tables of the RTL hold before cycle 0, as hex text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hwsim.numerics.formats import IntArray
from hwsim.rtl.design import Product, address_bits, image_words
from hwsim.rtl.lanes import Lanes, bits_of

WORD_BITS = 64
SPARE_CYCLES = 64  # until a run that never ends is given up
QUIET = 1 << 32


def images(product: Product, *, repeats: int = 1, quiet: bool = False) -> dict[str, str]:
    """Return the texts of the files that the test bench reads, by name.

    Args:
        product: what to compute.
        repeats: how often to compute it, from reset each time.
        quiet: write no events and outputs, only cycles.
    """
    params = product.params
    activations, weights = _activation_banks(product), _weight_banks(product)
    files = {
        "shape.hex": _hex(_settings(product, repeats + QUIET * quiet), WORD_BITS),
        "activations.hex": _hex(_wide(activations, params.activations.bits), params.rows * params.activations.bits),
        "weights.hex": _hex(_wide(weights, params.weights.bits), params.cols * params.weights.bits),
    }
    if product.lanes is not None:
        width = product.lanes.constant_bits
        constants = [_join(row, width) for row in _constants(product, product.lanes)]
        files["constants.hex"] = _hex(_padded(constants), params.cols * width)
    if product.lanes is not None and product.lanes.lut is not None:
        entries = [int(entry) for entry in product.lanes.lut.table]
        files["table.hex"] = _hex(_padded(entries), product.lanes.table_bits)
    return files


def write_images(folder: Path, product: Product, *, repeats: int = 1, quiet: bool = False) -> None:
    """Write the images into ``folder``."""
    for name, text in images(product, repeats=repeats, quiet=quiet).items():
        (folder / name).write_text(text, encoding="ascii")


def _settings(product: Product, control: int) -> list[int]:
    words = image_words(product)
    lanes = [0] * 7 if product.lanes is None else product.lanes.settings()
    return [
        product.length,
        product.outer_tiles,
        product.inner_tiles,
        product.shape.out_rows,
        product.shape.out_cols,
        max(words.values()),
        words["activations"],
        words["weights"],
        words["constants"],
        words["table"],
        product.total_cycles + SPARE_CYCLES,
        *lanes,
        control,
    ]


def _activation_banks(product: Product) -> IntArray:
    """Return (addresses, rows): what each row's bank holds."""
    rows = product.params.rows
    if product.output_stationary:  # bank r: out_rows r, rows + r ..., each with its depth terms
        padded = _pad(product.activations, 0, rows)
        return padded.reshape(-1, rows, product.length).transpose(0, 2, 1).reshape(-1, rows)
    padded = _pad(product.activations, 1, rows)  # bank r: terms r, rows + r ..., each with its stream
    return padded.reshape(product.length, -1, rows).transpose(1, 0, 2).reshape(-1, rows)


def _weight_banks(product: Product) -> IntArray:
    """Return (addresses, cols): what each column's bank holds."""
    rows, cols = product.params.rows, product.params.cols
    if product.output_stationary:  # bank c: out_cols c, cols + c ..., each with its depth terms
        padded = _pad(product.weights, 1, cols)
        return padded.reshape(product.length, -1, cols).transpose(1, 0, 2).reshape(-1, cols)
    padded = _pad(_pad(product.weights, 0, rows), 1, cols)  # bank c: fold after fold its rows weights
    return padded.reshape(-1, rows, product.outer_tiles, cols).transpose(2, 0, 1, 3).reshape(-1, cols)


def _pad(matrix: IntArray, axis: int, step: int) -> IntArray:
    """Fill ``axis`` with zeros up to a multiple of ``step``: an unused PE multiplies by 0."""
    missing = -matrix.shape[axis] % step
    widths = [(0, missing if place == axis else 0) for place in range(2)]
    return np.pad(matrix, widths)


def _constants(product: Product, lanes: Lanes) -> list[list[int]]:
    """Return, per address, each lane's constants: of its column in each tile, or of the stream index for all."""
    words, cols = lanes.channel_words(), product.params.cols
    if product.transposed:
        return [[word] * cols for word in words]
    words += [0] * (-len(words) % cols)
    return [words[place : place + cols] for place in range(0, len(words), cols)]


def _join(words: Iterable[int], bits: int) -> int:
    """Put words side by side, the first in the lowest bits."""
    whole = 0
    for place, word in enumerate(words):
        whole |= bits_of(word, bits) << (place * bits)
    return whole


def _wide(banks: IntArray, bits: int) -> list[int]:
    return _padded([_join(row, bits) for row in banks.tolist()])


def _padded(words: list[int]) -> list[int]:
    """Fill up to the memory's size, as simulators warn about places that an image leaves out."""
    return words + [0] * ((1 << address_bits(len(words))) - len(words))


def _hex(words: Iterable[int], bits: int) -> str:
    digits = -(-bits // 4)
    return "".join(f"{bits_of(word, bits):0{digits}x}\n" for word in words)
