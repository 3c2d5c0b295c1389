"""The axes of a sweep: which values each key takes, and whether every one of them suits an architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from hwsim.config.arch import ArchSpec
from hwsim.config.base import Conflict, refuse
from hwsim.config.keypath import KeyPath, dotted, within
from hwsim.config.overrides import key_problem, with_overrides
from hwsim.config.problems import InvalidSpecError, Problem, validated
from hwsim.config.wording import got, listed, shown

ZIP = "zip"

Axis = dict[str, Any]
Lists = Mapping[str, Sequence[Any]]


def lists_of(axis: Axis) -> Lists:
    """Return the values of each key of an axis, zipped or crossed."""
    lists: Lists = axis.get(ZIP, axis)
    return lists


def choices(axis: Axis) -> list[dict[str, Any]]:
    """Return what an axis sets, step by step: zipped lists go together, others are crossed, last fastest."""
    lists = lists_of(axis)
    steps = zip(*lists.values(), strict=True) if ZIP in axis else product(*lists.values())
    return [dict(zip(lists, values, strict=True)) for values in steps]


def choice_count(axis: Axis) -> int:
    """Return how many steps an axis has, without making them."""
    lengths = [len(values) for values in lists_of(axis).values()]
    return lengths[0] if ZIP in axis else prod(lengths)


def check_axes(axes: tuple[Any, ...]) -> tuple[Axis, ...]:
    """Return ``axes`` if each has the right form, known keys and values that suit an architecture.

    Raises:
        PydanticCustomError: with all that is wrong, by path from ``axes`` down.
    """
    refuse(_axes_conflicts(axes))
    return axes


def _axes_conflicts(axes: tuple[Any, ...]) -> Iterator[Conflict]:
    seen: dict[str, KeyPath] = {}
    for index, axis in enumerate(axes):
        yield from _form_conflicts((index,), axis)
        for path, values in _entries((index,), axis):
            key = str(path[-1])
            if key in seen:
                yield Conflict(path, f"swept already, in axes{dotted(seen[key][:1])}", at_key=True)
            seen.setdefault(key, path)
            yield from _list_conflicts(path, values)


def _entries(path: KeyPath, axis: Any) -> list[tuple[KeyPath, Any]]:
    """Return the path of each swept key with what is said to be its values."""
    items = _mapping(axis)
    crossed = [((*path, key), values) for key, values in items.items() if key != ZIP]
    return crossed + [((*path, ZIP, key), values) for key, values in _mapping(items.get(ZIP)).items()]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _form_conflicts(path: KeyPath, axis: Any) -> Iterator[Conflict]:
    if not isinstance(axis, Mapping):
        yield Conflict(path, f"must be a mapping of keys to lists of values, got {got(axis)}")
    elif not axis:
        yield Conflict(path, "an axis needs at least one key")
    elif ZIP in axis:
        yield from _zip_conflicts(path, axis)


def _zip_conflicts(path: KeyPath, axis: Mapping[str, Any]) -> Iterator[Conflict]:
    for key in axis:
        if key != ZIP:
            yield Conflict((*path, key), "zip stands alone in its axis; give this key an axis of its own", at_key=True)
    zipped = axis[ZIP]
    if not isinstance(zipped, Mapping):
        yield Conflict((*path, ZIP), f"must be a mapping of keys to lists of values, got {got(zipped)}")
    elif not zipped:
        yield Conflict((*path, ZIP), "zip needs at least one key")
    else:
        yield from _length_conflicts((*path, ZIP), zipped)


def _length_conflicts(path: KeyPath, zipped: Mapping[str, Any]) -> Iterator[Conflict]:
    lengths = {key: len(values) for key, values in zipped.items() if isinstance(values, list)}
    if len(set(lengths.values())) > 1:
        each = listed(f"{key} has {length}" for key, length in lengths.items())
        yield Conflict(path, f"zipped lists must have the same length: {each}")


def _list_conflicts(path: KeyPath, values: Any) -> Iterator[Conflict]:
    """Yield what is wrong with one key and its values; without a known key the values cannot be judged."""
    key = str(path[-1])
    problem = key_problem(key)
    if problem:
        yield Conflict(path, problem, at_key=True)
    elif not isinstance(values, list):
        yield Conflict(path, f"must be a list of values, got {got(values)}")
    elif not values:
        yield Conflict(path, "needs at least one value")
    else:
        for index, value in enumerate(values):
            yield from _value_conflicts((*path, index), key, value)
        yield from _repeated(path, values)


def _value_conflicts(path: KeyPath, key: str, value: Any) -> Iterator[Conflict]:
    """Yield why no architecture has this value; rules that involve other keys are left to whole points."""
    for problem in _problems_with(key, value):
        leaf = tuple(key.split("."))
        if all(within(involved, leaf) for involved in (problem.path, *problem.others)):
            yield Conflict((*path, *problem.path[len(leaf) :]), problem.text)


def _problems_with(key: str, value: Any) -> tuple[Problem, ...]:
    try:
        validated(ArchSpec, with_overrides({"schema_version": 1}, {key: value}))
    except InvalidSpecError as error:
        return error.problems
    return ()


def _repeated(path: KeyPath, values: list[Any]) -> Iterator[Conflict]:
    """Yield values that a crossed list has twice, which would make equal points; zipped lists may repeat."""
    if ZIP in path:
        return
    seen: set[str] = set()
    for index, value in enumerate(values):
        if repr(value) in seen:
            yield Conflict((*path, index), f"{shown(value)} is listed twice")
        seen.add(repr(value))
