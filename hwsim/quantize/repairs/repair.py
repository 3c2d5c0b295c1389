"""The interface of a repair."""

from __future__ import annotations

from hwsim.config.parts import make_part, part_name
from hwsim.config.quantization import QuantizationSpec
from hwsim.errors import ConfigError
from hwsim.execute.floating import Reals
from hwsim.network.network import Network
from hwsim.registry import REPAIRS


class Repair:
    """Changes the float network before its ranges are found, the integer network afterwards, or both.

    The parameters of a subclass's constructor are its options in YAML.
    """

    def before(self, network: Network) -> Network:
        """Return the float network to quantize; activations and batch normalizations are fused."""
        return network

    def after(self, real: Network, quantized: Network, calibration: Reals) -> Network:  # noqa: ARG002
        """Return the integer network to run.

        Args:
            real: the float network as all ``before`` have left it.
            quantized: the same operators with integer constants and a quantization on every tensor.
            calibration: samples (samples, *input shape), by name if there are several inputs.
        """
        return quantized


def repaired_before(network: Network, spec: QuantizationSpec, why_not_after: str) -> Network:
    """Return the float network as the repairs of ``spec`` leave it, in a mode where nothing can be done afterwards.

    Raises:
        ConfigError: a repair that changes the integer network; the text gives ``why_not_after``.
    """
    for part in spec.repairs:
        repair: Repair = make_part(REPAIRS, part)
        if type(repair).after is not Repair.after:
            raise ConfigError(f"repair {part_name(part)} with mode {spec.mode}, {why_not_after}")
        network = repair.before(network)
    return network
