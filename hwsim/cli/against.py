"""``hwsim check --against``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwsim.cli.inputs import read_samples
from hwsim.cli.wording import counted, one_of
from hwsim.config.arch import ArchSpec
from hwsim.errors import ConfigError
from hwsim.numerics.tflite.profiles import ALL_PROFILES
from hwsim.oracles.ask import ONNX_RUNTIME
from hwsim.oracles.compare import OracleAgreement, compare_with_oracle, random_inputs
from hwsim.readers.read import ONNX_SUFFIX, TFLITE_SUFFIX
from hwsim.readers.workload import Workload
from hwsim.samples import choose_samples

RANDOM_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class AgainstRequest:
    """Which oracle, the model's file, and what to run: the user's samples, or random ones of a seed."""

    oracle: str
    workload: str
    inputs: Path | None
    samples: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Against:
    """What an oracle agreed on; ``seed`` is None where the samples were the user's."""

    agreement: OracleAgreement
    seed: int | None

    @property
    def text(self) -> str:
        """Say what was compared, and what could not be."""
        found = self.agreement
        samples = counted(found.samples, "sample" if self.seed is None else "random sample")
        seed = "" if self.seed is None else f" (seed {self.seed})"
        hidden = f"; not shown by {found.oracle}: {', '.join(found.not_compared)}" if found.not_compared else ""
        return (
            f"0 differences on {samples}{seed}: {counted(found.tensors, 'tensor')}, "
            f"{counted(found.elements, 'element')}{hidden}"
        )

    @property
    def figures(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self.agreement) | {"seed": self.seed, "differences": 0}


def profile_settings(oracle: str | None) -> list[str]:
    """Return the setting that makes hwsim round as the oracle does; none without an oracle.

    Raises:
        ConfigError: there is no such oracle.
    """
    return [] if oracle is None else [f"requantizer.rounding_profile={one_of(oracle, ALL_PROFILES, 'oracle')}"]


def check_against(request: AgainstRequest, spec: ArchSpec, workload: Workload) -> Against:
    """Compare every tensor with an oracle's.

    Raises:
        HwsimError: as `compare_with_oracle`; ConfigError for another kind of file.
    """
    path = Path(request.workload)
    suffix = ONNX_SUFFIX if request.oracle == ONNX_RUNTIME else TFLITE_SUFFIX
    if path.suffix != suffix:
        raise ConfigError(f"--against {request.oracle} with workload {request.workload}; allowed: a {suffix} file")
    if not workload.network.holds_codes:
        raise ConfigError(f"--against with workload {request.workload}, a file of reals; allowed: a quantized one")
    if request.inputs is not None:
        inputs, _ = read_samples(workload, request.inputs, None)
        chosen = choose_samples(workload, inputs=inputs, samples=request.samples)
        return Against(compare_with_oracle(spec, path, chosen, request.oracle), None)
    count = RANDOM_SAMPLES if request.samples is None else request.samples
    if count < 1:
        raise ConfigError(f"{count} samples; allowed: 1 or more")
    chosen = choose_samples(workload, inputs=random_inputs(workload.network, count, request.seed))
    return Against(compare_with_oracle(spec, path, chosen, request.oracle), request.seed)
