"""Builds designs with Verilator or Icarus Verilog, keeps the builds, and runs them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from hwsim.errors import ConfigError
from hwsim.rtl.design import TOP, Design

SimulatorName = Literal["verilator", "icarus"]

PROGRAMS: dict[SimulatorName, str] = {"verilator": "verilator", "icarus": "iverilog"}
PACKAGES: dict[SimulatorName, str] = {"verilator": "verilator", "icarus": "iverilog"}
VERILATOR_FLAGS = ("--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert")
COMPILER_FLAGS = "-O3"
VERILATOR_PE_CYCLES = 2_000_000  # above, Verilator's seconds of building pay


@dataclass(frozen=True, slots=True)
class Simulation:
    """A built design: run it in a folder with its memory images."""

    simulator: SimulatorName
    program: Path

    def run(self, folder: Path, *, vcd: bool = False) -> None:
        """Run in ``folder``, which takes trace.txt (and trace.vcd with ``vcd``, Icarus only).

        Raises:
            ConfigError: waves of a Verilator build were asked for, or the simulator fails.
        """
        if vcd and self.simulator != "icarus":
            raise ConfigError("waves from a Verilator build; allowed: icarus")
        command = [str(self.program)] if self.simulator == "verilator" else ["vvp", "-n", str(self.program)]
        call([*command, *(["+vcd"] if vcd else [])], folder)


def installed_simulators() -> tuple[SimulatorName, ...]:
    """Return the simulators found on the path."""
    return tuple(name for name, program in PROGRAMS.items() if shutil.which(program))


def choose_simulator(name: str | None, pe_cycles: int) -> SimulatorName:
    """Return the simulator called ``name``, or for None the one that suits ``pe_cycles`` (PEs times cycles).

    Icarus builds at once and runs slowly, Verilator builds for seconds and runs fast.

    Raises:
        ConfigError: it is not installed, or none is.
    """
    found = installed_simulators()
    if name is not None:
        known = next((simulator for simulator in PROGRAMS if simulator == name), None)
        if known is None:
            raise ConfigError(f"unknown simulator '{name}'; allowed: {', '.join(PROGRAMS)}")
        if known not in found:
            raise ConfigError(f"{name} is not installed; get it with `apt install {PACKAGES[known]}`")
        return known
    if not found:
        raise ConfigError("no SystemVerilog simulator is installed; get one with `apt install verilator iverilog`")
    wanted: SimulatorName = "verilator" if pe_cycles > VERILATOR_PE_CYCLES else "icarus"
    return wanted if wanted in found else found[0]


def build(design: Design, simulator: SimulatorName, cache_folder: Path | None = None) -> Simulation:
    """Build ``design``, or return the build of the same files, parameters and simulator version.

    Args:
        design: what to build.
        simulator: an installed one.
        cache_folder: where builds are kept; the user's cache folder if None.

    Raises:
        ConfigError: the simulator refuses the sources; its own words follow.
    """
    files = design.files()
    home = (cache_folder or default_cache_folder()) / _key(files, simulator)
    program = home / "simulation"
    if not program.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="build-") as work:
            _write(files, Path(work))
            made = _build_verilator(Path(work)) if simulator == "verilator" else _build_icarus(Path(work))
            home.mkdir(exist_ok=True)
            made.replace(program)  # atomic: another process sees all of it or nothing
    return Simulation(simulator, program)


def default_cache_folder() -> Path:
    """Return the user's cache folder for builds; a private temporary one where that cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "hwsim" / "rtl"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return _temporary_cache()


@cache
def _temporary_cache() -> Path:
    return Path(tempfile.mkdtemp(prefix="hwsim-rtl-"))


def _key(files: Mapping[str, str], simulator: SimulatorName) -> str:
    """Hash everything that a build depends on."""
    digest = hashlib.sha256()
    for part in (simulator, _version(simulator), *VERILATOR_FLAGS, COMPILER_FLAGS):
        digest.update(part.encode() + b"\0")
    for name, text in sorted(files.items()):
        digest.update(name.encode() + b"\0" + text.encode() + b"\0")
    return digest.hexdigest()[:32]


@cache
def _version(simulator: SimulatorName) -> str:
    flag = "--version" if simulator == "verilator" else "-V"
    return call([PROGRAMS[simulator], flag], Path.cwd()).splitlines()[0]


def _write(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _build_verilator(folder: Path) -> Path:
    command = ["verilator", *VERILATOR_FLAGS, "-CFLAGS", COMPILER_FLAGS, "-Wno-fatal", "-j", "0", "--top-module", TOP]
    call([*command, "--Mdir", "obj", "-y", ".", f"{TOP}.sv", "main.cpp", "-o", "simulation"], folder)
    return folder / "obj" / "simulation"


def _build_icarus(folder: Path) -> Path:
    sources = sorted(path.name for path in folder.glob("*.sv"))
    call(["iverilog", "-g2012", "-s", "testbench", "-o", "simulation", *sources], folder)
    return folder / "simulation"


def call(command: list[str], folder: Path) -> str:
    """Run a program and return what it prints.

    Raises:
        ConfigError: it fails or cannot be started.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be started: {error}") from error
    if done.returncode != 0:
        raise ConfigError(f"{command[0]} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout
