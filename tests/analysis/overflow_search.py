"""Guard bits by trial: a layer's accumulator alone is narrowed, and its overflows are counted."""

from __future__ import annotations

from dataclasses import replace

from hwsim.array.params import MIN_GUARD_BITS
from hwsim.compilation import compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.execute.integer import run_integer
from hwsim.numerics.formats import IntFormat, accumulator_format
from hwsim.samples import Samples

MOST_GUARD_BITS = 12


def fewest_without_overflow(spec: ArchSpec, chosen: Samples) -> dict[str, int]:
    """Return for each product the fewest guard bits, -4 or more, with which no add (and no preload) overflows.

    Every number of guard bits is tried, so that one that overflows above one that does not would be noticed.
    """
    compiled = compile_workload(spec, chosen.workload)
    codes = compiled.codes(chosen.inputs)
    wide = {name: replace(params, accumulator=IntFormat(60)) for name, params in compiled.params.items()}
    fewest = {}
    for name in wide:
        clean = []
        for guard_bits in range(MIN_GUARD_BITS, MOST_GUARD_BITS + 1):
            word = accumulator_format(spec.array.weight_bits, spec.array.activation_bits, guard_bits)
            params = wide | {name: replace(wide[name], accumulator=word)}
            overflow = run_integer(compiled.steps, params, codes, keep=[compiled.output]).overflows[name]
            clean.append(overflow.events + overflow.preload == 0)
        assert clean == sorted(clean)
        fewest[name] = MOST_GUARD_BITS + 1 - sum(clean)
    return fewest
