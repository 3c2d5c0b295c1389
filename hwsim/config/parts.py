"""Exchangeable parts in a specification: a registered name, or a mapping of the name and its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import SkipValidation, WithJsonSchema

from hwsim.config.base import Conflict
from hwsim.config.keypath import KeyPath
from hwsim.config.wording import got, listed, shown
from hwsim.errors import ConfigError, did_you_mean
from hwsim.registry import make, names

Part = Annotated[
    str | dict[str, Any],
    SkipValidation,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            ]
        }
    ),
]


def part_name(part: Part) -> str:
    """Return the registered name of a part."""
    return str(part["name"]) if isinstance(part, dict) else part


def part_options(part: Part) -> dict[str, Any]:
    """Return the options of a part, without its name."""
    return {key: value for key, value in part.items() if key != "name"} if isinstance(part, dict) else {}


def make_part(group: str, part: Part) -> Any:
    """Make a new instance of a part.

    Raises:
        ConfigError: no such name, an option that the part does not have, or a value that it does not take.
    """
    return make(group, part_name(part), part_options(part))


def part_conflicts(group: str, path: KeyPath, part: Any) -> Iterator[Conflict]:
    """Yield what is wrong with a part: its form, its name, its options."""
    if not isinstance(part, str | Mapping):
        yield Conflict(path, f"must be a name or a mapping with a name, got {got(part)}")
    elif isinstance(part, Mapping) and not isinstance(part.get("name"), str):
        yield Conflict(path, "needs a name beside its options")
    else:
        yield from _registration_conflicts(group, path, part_name(dict(part) if isinstance(part, Mapping) else part))
        yield from _option_conflicts(group, path, part)


def _registration_conflicts(group: str, path: KeyPath, name: str) -> Iterator[Conflict]:
    known = names(group)
    if known and name not in known:
        kind = group.removeprefix("hwsim.").removesuffix("s").replace("_", " ")
        yield Conflict(path, f"unknown {kind} {shown(name)}; allowed: {listed(known)}{did_you_mean(name, known)}")


def _option_conflicts(group: str, path: KeyPath, part: Any) -> Iterator[Conflict]:
    """Yield what the part itself says about its options; only a mapping makes it be imported."""
    if not isinstance(part, Mapping) or part["name"] not in names(group):
        return
    try:
        make_part(group, dict(part))
    except ConfigError as error:
        yield from (Conflict(path, problem) for problem in error.problems)
