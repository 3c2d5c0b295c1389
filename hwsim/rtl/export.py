"""Writes a configured design with its memory images and golden trace, to be run without Python."""

from __future__ import annotations

from pathlib import Path

from hwsim.array.params import ArrayParams
from hwsim.numerics.formats import IntArray
from hwsim.numerics.lut import Lut
from hwsim.numerics.requantize import Requantizer
from hwsim.rtl.build import COMPILER_FLAGS, VERILATOR_FLAGS
from hwsim.rtl.design import TOP, build_design, build_product
from hwsim.rtl.images import images
from hwsim.rtl.trace import stepped_trace

GOLDEN = "golden.txt"

# a simulation runs in a folder of its own, which holds the images that it reads and the trace that it writes
MAKEFILE = f"""\
# `make` runs the design with every installed simulator on its memory images (*.hex) and compares what it does, cycle
# by cycle, with {GOLDEN}: lines as bench.sv describes them. `make icarus` and `make verilator` run one of them.
SOURCES := $(wildcard *.sv)
IMAGES := $(wildcard *.hex)
SIMULATORS := $(if $(shell command -v iverilog),icarus) $(if $(shell command -v verilator),verilator)

.PHONY: all icarus verilator clean none

all: $(or $(strip $(SIMULATORS)),none)

none:
\t@echo "FAIL: neither iverilog nor verilator is installed (apt install iverilog verilator)"; exit 1

icarus verilator: %: build/%/simulation
\t@cp $(IMAGES) build/$@/
\t@cd build/$@ && $(if $(filter icarus,$@),vvp -n) ./simulation > simulation.log
\t@if cmp -s {GOLDEN} build/$@/trace.txt; then echo "PASS $@"; else \\
\t  echo "FAIL $@: first difference (< expected, > found):"; diff {GOLDEN} build/$@/trace.txt | head -n 6; exit 1; fi

build/icarus/simulation: $(SOURCES)
\t@mkdir -p $(@D)
\t@iverilog -g2012 -s testbench -o $@ $(SOURCES)

build/verilator/simulation: $(SOURCES) main.cpp
\t@mkdir -p $(@D)
\t@cp $(SOURCES) main.cpp $(@D)/
\t@cd $(@D) && verilator {" ".join(VERILATOR_FLAGS)} -CFLAGS {COMPILER_FLAGS} -Wno-fatal --top-module {TOP} \\
\t  --Mdir obj -y . {TOP}.sv main.cpp -o ../simulation > build.log

clean:
\trm -rf build
"""


def export_rtl(
    folder: Path,
    params: ArrayParams,
    activations: IntArray,
    weights: IntArray,
    *,
    requantizer: Requantizer | None = None,
    lut: Lut | None = None,
    bias: IntArray | None = None,
) -> tuple[Path, ...]:
    """Write sources, parameters, memory images, golden trace and a Makefile into ``folder``; return the files.

    ``make`` there prints PASS or FAIL for each installed simulator. Files of the same names are replaced; other
    arguments as of ``compare_gemm``.

    Raises:
        ConfigError: operands that the array cannot hold, or something that has no RTL.
    """
    product = build_product(params, activations, weights, requantizer, lut, bias)
    files = {
        **build_design(product).files(),
        **images(product),
        GOLDEN: stepped_trace(product).text(product.params.cols),
        "Makefile": MAKEFILE,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in sorted(files))
