"""Finds the field of a specification that a path leads to, and lists all the paths there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hwsim.config.keypath import KeyPath


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pydantic error stands.

    Attributes:
        path: The keys and indices from the top, without the tags that pydantic adds for a choice of models.
        owner: The model whose key the path ends in or passes last.
        annotation: The type of what stands there, ``None`` for an unknown key.
        limits: The field's constraints, such as ``Ge(1)``.
    """

    path: KeyPath
    owner: type[BaseModel]
    annotation: Any
    limits: tuple[Any, ...]


def place_at(model: type[BaseModel], location: KeyPath) -> Place:
    """Follow pydantic's ``loc`` from ``model`` down."""
    place = Place((), model, model, ())
    for step in location:
        place = _down(place, step)
    return place


def _down(place: Place, step: str | int) -> Place:
    here = _plain(place.annotation)
    path = (*place.path, step)
    if _is_model(here):
        field = here.model_fields.get(step)
        return Place(path, here, field and field.annotation, tuple(field.metadata) if field else ())
    if get_origin(here) in (Union, UnionType):
        return Place(place.path, place.owner, _tagged(here, step), ())
    if get_origin(here) is tuple and isinstance(step, int):
        item = get_args(here)[0]
        return Place(path, place.owner, item, _limits(item))
    if get_origin(here) is dict:
        return Place(path, place.owner, get_args(here)[1], ())
    return Place(path, place.owner, None, ())


def _plain(annotation: Any) -> Any:
    """Return the type without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _plain(members[0]) if len(members) == 1 else annotation
    return annotation


def _tagged(union: Any, tag: str | int) -> Any:
    """Return the member of a discriminated union whose ``type`` is ``tag``."""
    for member in get_args(union):
        if tag in allowed_values(member.model_fields["type"].annotation):
            return member
    return None


def allowed_values(annotation: Any) -> tuple[Any, ...]:
    """Return the values of a ``Literal``, the tags of a choice of models, nothing for any other type."""
    here = _plain(annotation)
    if get_origin(here) is Literal:
        return get_args(here)
    if get_origin(here) in (Union, UnionType):
        return tuple(tag for member in get_args(here) for tag in allowed_values(member.model_fields["type"].annotation))
    return ()


def fixed_length(annotation: Any) -> int | None:
    """Return how many items a tuple type of fixed length has, ``None`` for any other type."""
    here = _plain(annotation)
    items = get_args(here)
    return len(items) if get_origin(here) is tuple and Ellipsis not in items else None


def _limits(annotation: Any) -> tuple[Any, ...]:
    parts = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return tuple(limit for part in parts for limit in (part.metadata if isinstance(part, FieldInfo) else (part,)))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@cache
def leaf_paths(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the dotted path of every key that holds a value rather than a group of keys, in order."""
    return tuple(".".join(path) for path in _leaves(model))


@cache
def open_leaf_paths(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the dotted paths of values in mappings whose keys are the user's own; ``*`` stands for such a key."""
    return tuple(".".join(path) for path in _open_leaves(model))


def leaf_pattern(open_path: str) -> str:
    """Return the regular expression of the keys that an open path stands for."""
    return "^" + re.escape(open_path).replace(r"\*", r"[^.]+") + "$"


def closest_leaves(model: type[BaseModel], key: str) -> list[str]:
    """Return all paths of values, the user's own keys in ``key`` put where open paths leave them open."""
    steps = key.split(".")
    filled = [
        ".".join(mine if step == "*" else step for step, mine in zip(path, [*steps, *path[len(steps) :]], strict=False))
        for path in (open_path.split(".") for open_path in open_leaf_paths(model))
    ]
    return [*leaf_paths(model), *filled]


def _open_leaves(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        here = _plain(field.annotation)
        if _is_model(here):
            yield from ((name, *below) for below in _open_leaves(here))
        elif get_origin(here) is dict and _is_model(get_args(here)[1]):
            yield from ((name, "*", *below) for below in _leaves(get_args(here)[1]))


def _leaves(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        here = _plain(field.annotation)
        if _is_model(here):
            yield from ((name, *below) for below in _leaves(here))
        else:
            yield (name,)
