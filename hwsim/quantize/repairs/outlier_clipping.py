"""Outlier clipping: a few far weights no longer widen the grid of all the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.network.network import Network
from hwsim.quantize.options import number
from hwsim.quantize.repairs.repair import Repair
from hwsim.quantize.schemes import products


class OutlierClipping(Repair):
    """Clips each weight tensor to its mean plus or minus ``deviations`` standard deviations."""

    def __init__(self, deviations: float = 3.0) -> None:
        self._deviations = number("outlier_clipping", "deviations", deviations, low=0.1, high=100)

    def before(self, network: Network) -> Network:
        """Clip every weight."""
        tensors = dict(network.tensors)
        for name in dict.fromkeys(product.weight for product in products(network)):
            weight = tensors[name]
            reals = np.asarray(weight.data, np.float64)
            reach = self._deviations * reals.std()
            clipped = np.clip(reals, reals.mean() - reach, reals.mean() + reach)
            tensors[name] = replace(weight, data=clipped)
        return replace(network, tensors=tensors)
