"""A workload: a network with the samples to calibrate and to run it on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwsim.errors import ConfigError, UnsupportedError
from hwsim.network.network import Network
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray


@dataclass(frozen=True, eq=False)
class Workload:
    """What a workload file or folder holds.

    ``calibration`` and ``inputs`` have shape (samples, *input shape), ``labels`` (samples,); a network with several
    inputs has an array for each by name. ``digest`` is a hash of the files, so that stored results are tied to what was
    run.
    """

    name: str
    network: Network
    calibration: FloatArray | Mapping[str, FloatArray] | None
    inputs: FloatArray | Mapping[str, IntArray | FloatArray] | None
    labels: IntArray | None
    digest: str


def workload_of_file(path: Path, build: Callable[[], Network]) -> Workload:
    """Return the network of a model's file as a workload without samples; what is refused is said of the file.

    Raises:
        ConfigError: what ``build`` raises, each line with the file's name.
        UnsupportedError: likewise.
    """
    try:
        network = build()
    except ConfigError as error:
        raise ConfigError(f"{path}: {problem}" for problem in error.problems) from None
    except UnsupportedError as error:
        raise UnsupportedError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
    return Workload(path.stem, network, None, None, None, hashlib.sha256(path.read_bytes()).hexdigest())


def refuse_operators(problems: Sequence[str], runs: Sequence[str], total: int) -> None:
    """Refuse a file if some of its operators cannot run, and say which of all of them would.

    Raises:
        UnsupportedError: one line for each problem, and one for the kinds of those in ``runs``.
    """
    if problems:
        kinds = ", ".join(sorted(set(runs))) or "none"
        raise UnsupportedError("\n".join([*problems, f"{len(runs)} of {total} operators would run: {kinds}"]))
