"""The specification of a sweep and the points it stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SkipValidation, WithJsonSchema

from hwsim.config.arch import ArchSpec
from hwsim.config.axes import ZIP, Axis, check_axes, choice_count, choices, lists_of
from hwsim.config.base import Conflict, ListInput, Name, SchemaVersion, Spec, refuse
from hwsim.config.keypath import KeyPath
from hwsim.config.overrides import arch_data, with_overrides
from hwsim.config.places import leaf_paths, leaf_pattern, open_leaf_paths
from hwsim.config.problems import InvalidSpecError, Problem, validated
from hwsim.config.wording import got, shown

LARGEST_POINT_COUNT = 1_000_000

_LISTS_SCHEMA = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {
        "anyOf": [
            {"enum": list(leaf_paths(ArchSpec))},
            *({"pattern": leaf_pattern(path)} for path in open_leaf_paths(ArchSpec)),
        ]
    },
    "additionalProperties": {"type": "array", "minItems": 1},
}
_AXIS_SCHEMA = {
    "description": "Either zip with lists of equal length that go together, or keys whose lists are crossed, "
    "the last one fastest; a key is the dotted path of a value in the architecture, such as array.rows",
    "anyOf": [
        {
            "type": "object",
            "properties": {ZIP: {**_LISTS_SCHEMA, "description": "Keys whose lists of values go together"}},
            "required": [ZIP],
            "additionalProperties": False,
        },
        _LISTS_SCHEMA,
    ],
}


class SampledWorkload(Spec):
    """A workload, and the samples to run it on where they are not its own."""

    workload: Name = Field(description="A folder, a file or a shipped name")
    inputs: Name | None = Field(
        default=None,
        description="The samples, .npy or .npz, first axis the sample: a file, relative to this one; null: its own",
    )
    labels: Name | None = Field(default=None, description="Class numbers of the inputs, .npy: a file, likewise")
    calibration: Name | None = Field(
        default=None,
        description="Samples to quantize a network of reals by, .npy or .npz: a file, likewise; null: its own",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield whether labels have no inputs to belong to."""
        if self.labels is not None and self.inputs is None:
            yield Conflict(("labels",), "needs inputs beside it", others=(("inputs",),), at_key=True)


def _named(entry: Any) -> Any:
    """Let a name alone be a workload with its own samples."""
    if isinstance(entry, str):
        return {"workload": entry}
    if not isinstance(entry, Mapping | SampledWorkload):
        refuse(
            [
                Conflict(
                    (), f"must be a name, or a mapping with workload, inputs, labels and calibration, got {got(entry)}"
                )
            ]
        )
    return entry


def _unique(entries: tuple[SampledWorkload, ...]) -> tuple[SampledWorkload, ...]:
    names = [entry.workload for entry in entries]
    refuse(
        Conflict((index,), f"{shown(name)} is listed twice")
        for index, name in enumerate(names)
        if name in names[:index]
    )
    return entries


class SweepSpec(Spec):
    """An architecture, the workloads that run on it, and the axes along which it varies."""

    schema_version: SchemaVersion = Field(description="Version of this file's format: 1")
    name: Name = Field(default="unnamed", description="Name of the sweep in results")
    description: str = Field(default="", description="What the sweep is for")
    architecture: Name = Field(description="The architecture that is varied: a file or a shipped name")
    workloads: Annotated[
        tuple[Annotated[SampledWorkload, BeforeValidator(_named, json_schema_input_type=Name | SampledWorkload)], ...],
        ListInput,
        Field(min_length=1),
        AfterValidator(_unique),
    ] = Field(
        description="The workloads to run at every point: folders, files or shipped names; "
        "or mappings of such a workload, its inputs and its labels"
    )
    axes: Annotated[
        tuple[Annotated[Axis, SkipValidation, WithJsonSchema(_AXIS_SCHEMA)], ...], ListInput, AfterValidator(check_axes)
    ] = Field(default=(), description="What varies; axes are crossed, the last one fastest")
    samples: int | None = Field(
        default=None,
        ge=1,
        description="Samples to run at each point, from the first; null: all labelled samples",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The swept keys, in the order of the axes."""
        return tuple(key for axis in self.axes for key in lists_of(axis))

    @property
    def point_count(self) -> int:
        """How many points the sweep has."""
        return len(self.workloads) * prod(map(choice_count, self.axes))

    def conflicts(self) -> Iterator[Conflict]:
        """Yield whether there are too many points."""
        if self.point_count > LARGEST_POINT_COUNT:
            text = f"the sweep has {self.point_count:,} points; allowed: at most {LARGEST_POINT_COUNT:,}"
            yield Conflict(("axes",), text, others=(("workloads",),))


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One run of a sweep: its place in the order, its workload, and the dotted keys that it sets."""

    index: int
    workload: str
    overrides: dict[str, Any]


def expand(spec: SweepSpec) -> list[SweepPoint]:
    """Return the points of a sweep: workloads outermost, then the axes in order, the last one fastest."""
    pairs = product((entry.workload for entry in spec.workloads), combinations(spec))
    return [SweepPoint(index, workload, dict(overrides)) for index, (workload, overrides) in enumerate(pairs)]


def combinations(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    """Yield the overrides of each point of one workload, in order."""
    for parts in product(*map(choices, spec.axes)):
        yield {key: value for part in parts for key, value in part.items()}


def combination_problems(spec: SweepSpec, base: ArchSpec) -> list[Problem]:
    """Return why some points make no architecture although each of their values suits one.

    There is one problem for each key to blame: it names the first such point, counts the others, and stands at the
    last axis that takes part.
    """
    first: dict[KeyPath, Problem] = {}
    counts: Counter[KeyPath] = Counter()
    data = arch_data(base)
    for overrides in combinations(spec):
        for problem in _point_problems(data, overrides):
            counts[problem.path] += 1
            if problem.path not in first:
                first[problem.path] = _located(spec, overrides, problem)
    return [_counted(problem, counts[blamed] - 1) for blamed, problem in first.items()]


def _point_problems(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterable[Problem]:
    try:
        validated(ArchSpec, with_overrides(data, overrides))
    except InvalidSpecError as error:
        return error.problems
    return ()


def _located(spec: SweepSpec, overrides: Mapping[str, Any], problem: Problem) -> Problem:
    involved = [
        index
        for index, axis in enumerate(spec.axes)
        if any(problem.concerns(tuple(key.split("."))) for key in lists_of(axis))
    ]
    point = ", ".join(f"{key}={value}" for key, value in overrides.items())
    return Problem(("axes", involved[-1] if involved else 0), f"the point {point}: {problem}")


def _counted(problem: Problem, others: int) -> Problem:
    if not others:
        return problem
    return replace(problem, text=f"{problem.text} (and {others:,} more point{'s' if others > 1 else ''})")
