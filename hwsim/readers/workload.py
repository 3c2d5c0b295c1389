"""A workload: a network with the samples to calibrate and to run it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    calibration: FloatArray | None
    inputs: FloatArray | Mapping[str, IntArray] | None
    labels: IntArray | None
    digest: str
