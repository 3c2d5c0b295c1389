"""The rules of each dataflow, by name."""

from __future__ import annotations

from hwsim.array.dataflow_rules import DataflowRules
from hwsim.array.input_stationary import InputStationary
from hwsim.array.output_stationary import OutputStationary
from hwsim.array.params import Dataflow
from hwsim.array.weight_stationary import WeightStationary

_RULES: dict[Dataflow, DataflowRules] = {
    Dataflow.OUTPUT_STATIONARY: OutputStationary(),
    Dataflow.WEIGHT_STATIONARY: WeightStationary(),
    Dataflow.INPUT_STATIONARY: InputStationary(),
}


def rules(dataflow: Dataflow) -> DataflowRules:
    """Return the folds, timing and counts of ``dataflow``."""
    return _RULES[dataflow]
