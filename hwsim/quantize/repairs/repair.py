"""The interface of a repair."""

from __future__ import annotations

from hwsim.network.network import Network
from hwsim.numerics.rounding import FloatArray


class Repair:
    """Changes the float network before its ranges are found, the integer network afterwards, or both.

    The parameters of a subclass's constructor are its options in YAML.
    """

    def before(self, network: Network) -> Network:
        """Return the float network to quantize; activations and batch normalizations are fused."""
        return network

    def after(self, real: Network, quantized: Network, calibration: FloatArray) -> Network:  # noqa: ARG002
        """Return the integer network to run.

        Args:
            real: the float network as all ``before`` have left it.
            quantized: the same operators with integer constants and a quantization on every tensor.
            calibration: samples (samples, *input shape).
        """
        return quantized
