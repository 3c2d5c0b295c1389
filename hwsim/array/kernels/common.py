"""Small compiled loops that both engines share; importing this module imports Numba.

Every loop runs over contiguous arrays of one dtype from index 0, which is what LLVM needs to vectorize it: a
signed offset inside an index costs a factor of ten. Numba computes in 64 bits, and a store into an int32 array
truncates: exact, because operands and accumulators are bounded so that every sum fits (see ``engine``).

Numba's cache looks at the file of a kernel alone: after a change here, delete ``__pycache__`` beside this file, or
the kernels of the other files go on with the old code.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def _private_cache_folder() -> str:
    """Return a temporary folder that only this user writes: what lies in a cache is run."""
    folder = Path(tempfile.gettempdir()) / f"hwsim-numba-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    state = folder.lstat()
    private = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022
    return str(folder) if private else tempfile.mkdtemp(prefix="hwsim-numba-")


_CACHE_HERE = os.access(Path(__file__).parent, os.W_OK)
if not _CACHE_HERE and "NUMBA_CACHE_DIR" not in os.environ:
    # installed in a folder that this user cannot write: Numba would fail at import where there is no home either
    os.environ["NUMBA_CACHE_DIR"] = _private_cache_folder()

import numba  # noqa: E402

kernel = numba.njit(cache=True, nogil=True)
inlined = numba.njit(cache=True, nogil=True, inline="never")

MAX_TICKS = 255


@inlined
def multiply_add(sums, registers, lefts, rights):
    """Write the exact sums ``registers + lefts * rights``."""
    for p in range(sums.size):
        sums[p] = registers[p] + lefts[p] * rights[p]


@inlined
def scale_add(sums, registers, left, rights):
    """Write the exact sums ``registers + left * rights`` for one left operand."""
    for p in range(sums.size):
        sums[p] = registers[p] + left * rights[p]


@inlined
def add(sums, registers, others):
    """Write the exact sums ``registers + others``."""
    for p in range(sums.size):
        sums[p] = registers[p] + others[p]


@inlined
def leaves_range(sums, low, high):
    """Tell whether any sum lies outside [low, high]."""
    greatest = low
    least = high
    for p in range(sums.size):
        greatest = max(greatest, sums[p])
        least = min(least, sums[p])
    return greatest > high or least < low


@inlined
def limit(sums, low, high, saturate):
    """Wrap the sums into [low, high], or clamp them to it."""
    if saturate:
        for p in range(sums.size):
            sums[p] = min(max(sums[p], low), high)
    else:
        mask = high - low
        for p in range(sums.size):
            sums[p] = ((sums[p] - low) & mask) + low


@inlined
def store(registers, sums, low, high, saturate, overflowed):
    """Write the sums into the registers, wrapped or clamped where any of them overflowed."""
    for p in range(sums.size):
        registers[p] = sums[p]
    if overflowed:
        limit(registers, low, high, saturate)


@inlined
def shift(registers, previous, distance):
    """Move every word ``distance`` places on; the first ``distance`` places are left for the operands that enter."""
    target = registers[distance:]
    for p in range(target.size):
        target[p] = previous[p]


@inlined
def tick(ticks, flags):
    """Count one more cycle in every place whose flag is set; a byte holds 255 (``MAX_TICKS``) of them."""
    for p in range(ticks.size):
        ticks[p] += flags[p]


@inlined
def tick_both(ticks, flags, others):
    """Count one more cycle in every place where both flags are set."""
    for p in range(ticks.size):
        ticks[p] += flags[p] & others[p]


@inlined
def take_ticks(ticks):
    """Return the sum of all places and set them to 0."""
    total = 0
    for p in range(ticks.size):
        total += ticks[p]
        ticks[p] = 0
    return total
