"""``hwsim run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwsim.array.gemm import EngineName
from hwsim.cli.inputs import read_samples, read_spec_and_workload
from hwsim.cli.output import print_json
from hwsim.cli.rtl import WaveRequest, write_waves
from hwsim.cli.run_files import check_endings, check_targets, write_result, write_tensors
from hwsim.cli.run_text import print_result, print_written
from hwsim.cli.wording import one_of
from hwsim.compilation import check_integers
from hwsim.errors import ConfigError
from hwsim.network.network import no_values
from hwsim.quantize.random_values import with_random_values
from hwsim.readers.workload import Workload
from hwsim.results.trace_file import trace_file
from hwsim.samples import choose_samples
from hwsim.simulate import all_tensors, chosen_engine, simulate

_ENGINES: dict[str, EngineName] = {"stepped": "stepped", "functional": "functional"}


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The arguments of ``hwsim run``."""

    architecture: str
    workload: str
    inputs: Path | None
    labels: Path | None
    calibration: Path | None
    samples: int | None
    engine: str | None
    overrides: tuple[str, ...]
    out: Path | None
    dump_tensors: Path | None
    vcd: Path | None
    vcd_layer: str | None
    vcd_folds: str | None
    random_values: int | None
    trace: Path | None
    as_json: bool


def run_once(request: RunRequest) -> None:
    """Run, write what was asked for, and print the result.

    Raises:
        HwsimError: as ``hwsim.run``; also if a file cannot be read or written.
    """
    named = request.engine and one_of(request.engine, list(_ENGINES), "engine")
    _check_files(request)
    spec, workload = read_spec_and_workload(
        request.architecture, request.overrides, request.workload, request.calibration
    )
    if request.random_values is not None:
        workload = with_random_values(workload, spec, request.random_values)
    _check_values(workload, request)
    values, labels = read_samples(workload, request.inputs, request.labels)
    chosen = choose_samples(workload, inputs=values, labels=labels, samples=request.samples)
    if request.vcd is not None:
        check_integers(spec)
    engine = chosen_engine(spec, workload, _ENGINES[named] if named else None)
    written: list[Path] = []
    if request.trace is None:
        result = simulate(spec, chosen, engine=engine, with_data=True)
    else:
        properties = {"workload": workload.name, "architecture": spec.name, "clock_hz": spec.clock_hz}
        with trace_file(request.trace, properties) as trace:
            result = simulate(spec, chosen, engine=engine, with_data=True, trace=trace)
        written.append(request.trace)
    if request.out:
        written += write_result(result, request.out)
    if request.dump_tensors:
        written.append(write_tensors(all_tensors(spec, chosen), request.dump_tensors))
    if request.vcd:
        written.append(
            write_waves(spec, chosen, WaveRequest(request.vcd, request.vcd_layer, request.vcd_folds or "0:1"))
        )
    if request.as_json:
        print_json(result.to_json_dict())
        return
    print_result(result)
    print_written(written)


def _check_files(request: RunRequest) -> None:
    """Refuse files that cannot be written, and options that would have no effect.

    Raises:
        ConfigError: one line for each.
    """
    of_waves = {"--vcd-layer": request.vcd_layer, "--vcd-folds": request.vcd_folds}
    problems = [
        f"{option} without --vcd; allowed: both"
        for option, value in of_waves.items()
        if value is not None and request.vcd is None
    ]
    if problems:
        raise ConfigError(problems)
    check_targets(request.out, request.dump_tensors, request.vcd, request.trace)
    check_endings(
        {
            "--dump-tensors": (request.dump_tensors, ".npz"),
            "--trace": (request.trace, ".json"),
            "--vcd": (request.vcd, ".vcd"),
        }
    )


def _check_values(workload: Workload, request: RunRequest) -> None:
    """Refuse options that want values of a workload that has shapes alone.

    Raises:
        ConfigError: one line for each.
    """
    wanted = {
        "--inputs": request.inputs,
        "--labels": request.labels,
        "--samples": request.samples,
        "--engine": request.engine,
        "--dump-tensors": request.dump_tensors,
        "--vcd": request.vcd,
    }
    given = [option for option, value in wanted.items() if value is not None]
    if given and not workload.network.has_values:
        raise ConfigError(f"{option}: {no_values(workload.name)}" for option in given)
