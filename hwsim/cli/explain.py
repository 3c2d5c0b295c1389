"""``hwsim explain``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwsim.analysis.explain import explain
from hwsim.cli.explain_text import print_explanation
from hwsim.cli.inputs import read_samples, read_spec_and_workload
from hwsim.cli.output import print_json
from hwsim.errors import ConfigError
from hwsim.samples import choose_samples


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """The arguments of ``hwsim explain``."""

    architecture: str
    workload: str
    layer: str
    output: str
    sample: int
    terms: int
    inputs: Path | None
    calibration: Path | None
    overrides: tuple[str, ...]
    as_json: bool


def explain_output(request: ExplainRequest) -> None:
    """Work one output out and print it.

    Raises:
        HwsimError: a wrong argument or file, or hand and run differ.
    """
    place = _index(request.output)
    spec, workload = read_spec_and_workload(
        request.architecture, request.overrides, request.workload, request.calibration
    )
    values, _ = read_samples(workload, request.inputs, None)
    chosen = choose_samples(workload, inputs=values)
    found = explain(spec, chosen, request.layer, output=place, sample=request.sample)
    if request.as_json:
        print_json(found.to_json_dict())
    else:
        print_explanation(found, first_terms=request.terms)


def _index(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"--output {text}; allowed: a number, or an index such as 0,3,5")
    return tuple(int(part) for part in parts)
