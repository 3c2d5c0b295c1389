"""``hwsim check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hwsim.accounting import energy_context
from hwsim.analysis.guard_bits import accumulator_bits_of_weights
from hwsim.check import EngineAgreement, compare_engines
from hwsim.cli.against import AgainstRequest, check_against, profile_settings
from hwsim.cli.check_text import Checked, LayerFit, print_checked, print_checked_json
from hwsim.cli.inputs import read_samples, read_spec_and_workload
from hwsim.cli.rtl import RtlRequest, check_rtl
from hwsim.compilation import Compiled, compile_workload
from hwsim.config.arch import ArchSpec
from hwsim.config.load import load_arch
from hwsim.energy.account import Account
from hwsim.energy.table import EnergyTable
from hwsim.errors import ConfigError
from hwsim.machine.machine import run_machine
from hwsim.network.steps import MatmulStep
from hwsim.readers.workload import Workload
from hwsim.samples import Samples, choose_samples


@dataclass(frozen=True, slots=True)
class RtlOptions:
    """What ``--rtl`` compares: a random product or a layer, on which simulator."""

    wanted: bool
    gemm: str | None
    layer: str | None
    simulator: str | None


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """The arguments of ``hwsim check``; the workload may be given as an argument or as an option."""

    architecture: str
    workload_argument: str | None
    workload_option: str | None
    engines: bool
    against: str | None
    inputs: Path | None
    calibration: Path | None
    samples: int | None
    seed: int | None
    overrides: tuple[str, ...]
    as_json: bool
    rtl: RtlOptions

    @property
    def workload(self) -> str | None:
        """The workload, however it was given."""
        return self.workload_argument or self.workload_option


def check_all(request: CheckRequest) -> None:
    """Check what was named and print what was found.

    Raises:
        HwsimError: the first thing that is wrong; CheckFailedError if the engines differ.
    """
    _check_options(request)
    if request.rtl.wanted:
        check_rtl(
            RtlRequest(
                request.architecture,
                request.workload,
                request.inputs,
                request.calibration,
                request.rtl.gemm,
                request.rtl.layer,
                request.seed or 0,
                request.rtl.simulator,
                request.overrides,
                request.as_json,
            )
        )
        return
    checked = _checked(request)
    if request.as_json:
        print_checked_json(checked)
    else:
        print_checked(checked)


def _checked(request: CheckRequest) -> Checked:
    if request.workload is None:
        spec = load_arch(request.architecture, request.overrides)
        return Checked(spec, EnergyTable.load(spec.energy_table))
    overrides = [*request.overrides, *profile_settings(request.against)]
    spec, workload = read_spec_and_workload(request.architecture, overrides, request.workload, request.calibration)
    table = EnergyTable.load(spec.energy_table)
    layers = _layer_fits(spec, compile_workload(spec, workload), Account(table, energy_context(spec)))
    checked = Checked(spec, table, workload, layers)
    if request.against is not None:
        wanted = AgainstRequest(request.against, request.workload, request.inputs, request.samples, request.seed or 0)
        return replace(checked, against=check_against(wanted, spec, workload))
    if request.engines:
        chosen = _chosen(workload, request, spec.mapping.batch)
        return replace(checked, samples=chosen.count, engines=_compared(spec, chosen))
    return checked


def _chosen(workload: Workload, request: CheckRequest, batch: int) -> Samples:
    """Return what the engines are compared on: one batch if nothing is said.

    Raises:
        ConfigError: samples that do not fill their batches.
    """
    inputs, _ = read_samples(workload, request.inputs, None)
    samples = batch if request.samples is None else request.samples
    if samples % batch:
        raise ConfigError(f"--samples {samples} with mapping.batch {batch}; allowed: multiples of it")
    return choose_samples(workload, inputs=inputs, samples=samples)


def _check_options(request: CheckRequest) -> None:
    """Refuse options that would have no effect.

    Raises:
        ConfigError: one line for each.
    """
    problems = []
    comparisons = {
        "--engines": request.engines,
        "--rtl": request.rtl.wanted,
        "--against": request.against is not None,
    }
    wanted = [name for name, given in comparisons.items() if given]
    if len(wanted) > 1:
        problems.append(f"{' and '.join(wanted)}; allowed: one after the other")
    on_samples = [name for name in wanted if name != "--rtl"]
    files = {"--inputs": request.inputs, "--calibration": request.calibration}
    on_workload = [*on_samples, *(name for name, file in files.items() if file is not None)]
    problems += [f"{name} without WORKLOAD; allowed: both" for name in on_workload if request.workload is None]
    if request.samples is not None and not on_samples:
        problems.append("--samples without --engines or --against; allowed: both")
    if request.inputs is not None and not wanted:
        problems.append("--inputs without --engines, --against or --rtl; allowed: both")
    if request.seed is not None and request.against is None and request.rtl.gemm is None:
        problems.append("--seed without --against or --rtl --gemm; allowed: both")
    if request.seed is not None and request.against is not None and request.inputs is not None:
        problems.append("--seed with --inputs; allowed: one of them")
    if request.workload_argument and request.workload_option:
        problems.append("WORKLOAD and --workload; allowed: one of them")
    for name, value in (("gemm", request.rtl.gemm), ("layer", request.rtl.layer), ("simulator", request.rtl.simulator)):
        if value is not None and not request.rtl.wanted:
            problems.append(f"--{name} without --rtl; allowed: both")
    if problems:
        raise ConfigError(problems)


def _layer_fits(spec: ArchSpec, compiled: Compiled, account: Account) -> list[LayerFit]:
    """Return the plan of each layer, with its cycles from a run of the machine without data.

    Raises:
        ConfigError: the energy table lacks an action of the workload.
    """
    fits = []
    for layer in run_machine(compiled.layers, spec):
        account.entries(layer.counts)
        step = layer.plan.step
        needed = None
        if isinstance(step, MatmulStep) and compiled.network.has_values:
            needed = accumulator_bits_of_weights(step)
        fits.append(LayerFit(layer.plan, layer.total_cycles, needed))
    return fits


def _compared(spec: ArchSpec, chosen: Samples) -> EngineAgreement:
    """Compare the engines batch by batch and return the sums.

    Raises:
        CheckFailedError: they differ.
    """
    size = spec.mapping.batch
    starts = range(0, chosen.count, size)
    return _summed([compare_engines(spec, chosen.part(slice(start, start + size))) for start in starts])


def _summed(agreements: Sequence[EngineAgreement]) -> EngineAgreement:
    return EngineAgreement(
        layers=agreements[0].layers,
        cycles=sum(one.cycles for one in agreements),
        outputs=sum(one.outputs for one in agreements),
        overflow_events=sum(one.overflow_events for one in agreements),
    )
