"""What a workload is run on: its own samples or the user's, checked, with the float network's outputs for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwsim.errors import ConfigError
from hwsim.execute.codes import Values, check_codes
from hwsim.execute.floating import check_counts, check_inputs, float_output
from hwsim.network.network import Network, no_values
from hwsim.numerics.formats import IntArray
from hwsim.numerics.rounding import FloatArray
from hwsim.readers.workload import Workload

Inputs = Values | Mapping[str, Values]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What a workload is run on: inputs by tensor, labels if there are any, the float network's outputs for them.

    Inputs have shape (samples, *shape): reals, or codes where the network holds codes; that has no float outputs.
    """

    workload: Workload
    inputs: Mapping[str, Values]
    labels: IntArray | None
    float_outputs: FloatArray | None

    @property
    def count(self) -> int:
        """Number of samples; 0 where there are shapes alone."""
        return len(next(iter(self.inputs.values()), ()))

    def check_batch(self, batch: int) -> None:
        """Refuse fewer samples than run at once.

        Raises:
            ConfigError: there are fewer.
        """
        if self.count < batch:
            raise ConfigError(f"mapping.batch {batch}: {self.count} samples; allowed: a batch of them or more")

    def part(self, samples: slice) -> Samples:
        """Return some of the samples."""
        return Samples(
            self.workload,
            {name: values[samples] for name, values in self.inputs.items()},
            None if self.labels is None else self.labels[samples],
            None if self.float_outputs is None else self.float_outputs[samples],
        )


def with_calibration(workload: Workload, calibration: Inputs) -> Workload:
    """Return a workload of reals with other samples to be quantized by, (samples, *input shape).

    Raises:
        ConfigError: it is quantized already or has no values, or the samples are of the wrong shape or not finite.
    """
    network = workload.network
    if network.holds_codes or not network.has_values:
        what = "is quantized already" if network.holds_codes else "has shapes alone"
        raise ConfigError(f"calibration samples: workload {workload.name} {what}; allowed: a network of reals")
    try:
        named = _by_name(network, calibration)
        samples = {name: np.asarray(values, np.float64) for name, values in named.items()}
        check_inputs(network, {name: network.laid_out(name, values) for name, values in samples.items()})
    except ConfigError as error:
        raise ConfigError(f"calibration samples: {problem}" for problem in error.problems) from None
    return replace(workload, calibration=samples if len(samples) > 1 else samples[network.input])


def choose_samples(
    workload: Workload,
    *,
    inputs: Inputs | None = None,
    labels: IntArray | None = None,
    samples: int | None = None,
) -> Samples:
    """Choose what to run and compute the float network's outputs for it.

    A workload of shapes alone has no samples: it is chosen as it is.

    Raises:
        ConfigError: there are no inputs, or they are of the wrong shape or number, or there is nothing to run them on.
    """
    chosen = select_samples(workload, inputs=inputs, labels=labels, samples=samples)
    network = workload.network
    if network.holds_codes or not network.has_values:
        return chosen
    return replace(chosen, float_outputs=float_output(network, chosen.inputs))


def select_samples(
    workload: Workload, *, inputs: Inputs | None, labels: IntArray | None, samples: int | None
) -> Samples:
    """Choose what to run, as ``choose_samples``, and compute nothing.

    Raises:
        ConfigError: as there.
    """
    if not workload.network.has_values:
        _refuse_values(workload, inputs=inputs, labels=labels, samples=samples)
        return Samples(workload, {}, None, None)
    if labels is not None and inputs is None:
        raise ConfigError("labels without inputs; allowed: both, or the workload's own")
    if inputs is None:
        inputs, labels = workload.inputs, workload.labels
    if inputs is None:
        raise ConfigError(f"workload {workload.name} has no inputs of its own; allowed: give some (--inputs)")
    network = workload.network
    named = _named_inputs(network, inputs)
    count = len(named[network.input])
    if labels is not None and labels.shape != (count,):
        raise ConfigError(f"labels of shape {list(labels.shape)}; allowed: [{count}], one for each input")
    if labels is not None:
        _refuse_labels(labels, network.tensors[network.output].shape)
    if samples is not None and not 1 <= samples <= count:
        raise ConfigError(f"{samples} samples; allowed: 1 to {count}")
    return Samples(workload, named, labels, None).part(slice(samples))


def _refuse_labels(labels: IntArray, shape: tuple[int, ...]) -> None:
    """Raise a ConfigError unless one sample's outputs are the scores of classes, and labels are among these."""
    classes = max(shape, default=1)
    if math.prod(shape) != classes:
        raise ConfigError(f"labels for outputs of shape {list(shape)}; allowed: one row of class scores a sample")
    if not np.all((labels >= 0) & (labels < classes)):
        raise ConfigError(f"labels from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}, as outputs")


def _refuse_values(workload: Workload, **values: object) -> None:
    """Refuse what can only be done with values.

    Raises:
        ConfigError: one line for each.
    """
    given = [name for name, value in values.items() if value is not None]
    if given:
        raise ConfigError(f"{name}: {no_values(workload.network.name)}" for name in given)


def _named_inputs(network: Network, inputs: Inputs) -> dict[str, Values]:
    """Return an array for each input of the network.

    Raises:
        ConfigError: one is missing or unknown, or of the wrong type, shape or number of samples.
    """
    named = _by_name(network, inputs)
    if not network.holds_codes:
        laid_out = {name: network.laid_out(name, np.asarray(named[name])) for name in network.inputs}
        check_inputs(network, laid_out)
        return laid_out
    codes = {name: check_codes(network, name, np.asarray(named[name])) for name in network.inputs}
    check_counts(codes)
    return codes


def _by_name(network: Network, inputs: Inputs) -> Mapping[str, Values]:
    named = inputs if isinstance(inputs, Mapping) else {network.input: inputs}
    if set(named) != set(network.inputs):
        given, wanted = (", ".join(sorted(names)) or "none" for names in (named, network.inputs))
        raise ConfigError(f"inputs for {given}; allowed: one array for each of {wanted}")
    kinds = {name: np.asarray(values).dtype for name, values in named.items()}
    problems = [f"inputs of type {kind}; allowed: numbers" for kind in kinds.values() if kind.kind not in "iufb"]
    if problems:
        raise ConfigError(problems)
    return named
