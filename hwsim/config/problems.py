"""Validates data against a specification and says in plain words everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hwsim.config.base import CONFLICT, Spec
from hwsim.config.keypath import KeyPath, dotted, within, without
from hwsim.config.messages import message
from hwsim.config.places import Place, place_at

AnySpec = TypeVar("AnySpec", bound=Spec)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where; the file's line and column are looked up by it.
        text: What is wrong, what is allowed, and the closest allowed name.
        at_key: The key itself is wrong, rather than its value.
        others: Paths of the other keys that a broken rule involves.
    """

    path: KeyPath
    text: str
    at_key: bool = False
    others: tuple[KeyPath, ...] = ()

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}" if self.path else self.text

    def concerns(self, path: KeyPath) -> bool:
        """Whether this problem or a key that it involves lies at, below or above ``path``."""
        return any(within(mine, path) or within(path, mine) for mine in (self.path, *self.others))


class InvalidSpecError(Exception):
    """Data does not make a specification; ``problems`` says why. Callers turn it into a ``ConfigError``."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def validated(model: type[AnySpec], data: Mapping[str, Any]) -> AnySpec:
    """Return the specification that ``data`` describes.

    Raises:
        InvalidSpecError: with every problem at once.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = _problems(model, error)
    raise InvalidSpecError([*problems, *_hidden_conflicts(model, data, problems)])


def _hidden_conflicts(model: type[Spec], data: Mapping[str, Any], problems: list[Problem]) -> list[Problem]:
    """Return broken rules that pydantic did not get to, because a key beside them is wrong in itself.

    The wrong keys are left out and the rest is validated again; a rule with a wrong key is not judged.
    """
    for problem in problems:
        data = without(data, problem.path)
    try:
        model.model_validate(data)
    except ValidationError as error:
        new = [problem for problem in _problems(model, error, only=CONFLICT) if problem not in problems]
        return [problem for problem in new if not any(problem.concerns(old.path) for old in problems)]
    return []


def _problems(model: type[Spec], error: ValidationError, only: str | None = None) -> list[Problem]:
    found: dict[Problem, None] = {}  # ordered, and each once
    for details in error.errors(include_url=False):
        if only is None or details["type"] == only:
            found.update(dict.fromkeys(_translated(_place(model, details), details)))
    return list(found)


def _place(model: type[Spec], details: ErrorDetails) -> Place:
    """Return where an error stands; the list that lacks an item is to blame, not the item."""
    location = details["loc"]
    lacks_item = details["type"] == "missing" and isinstance(location[-1], int)
    return place_at(model, location[:-1] if lacks_item else location)


def _translated(place: Place, details: ErrorDetails) -> Iterator[Problem]:
    """Yield the problems of one pydantic error: none where it only follows from another one."""
    kind, path = details["type"], place.path
    if kind == CONFLICT:
        yield from _conflicts(path, details)
    elif kind == "union_tag_invalid":
        yield Problem((*path, "type"), message(place, details))
    elif kind != "default_factory_not_called" and not (kind == "too_short" and _is_long_enough(details)):
        yield Problem(path, message(place, details), at_key=kind == "extra_forbidden")


def _is_long_enough(details: ErrorDetails) -> bool:
    """Whether a list only seems too short, because its items are wrong and do not count."""
    return len(details["input"]) >= int(details["ctx"]["min_length"])


def _conflicts(path: KeyPath, details: ErrorDetails) -> Iterator[Problem]:
    for conflict in details["ctx"]["conflicts"]:
        others = tuple((*path, *other) for other in conflict.others)
        yield Problem((*path, *conflict.path), conflict.text, conflict.at_key, others)
