"""Single keys of an architecture set by dotted name: for ``--set``, for the points of a sweep, for Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.config.arch import ArchSpec
from hwsim.config.keypath import KeyPath, dotted, replaced
from hwsim.config.places import closest_leaves, leaf_paths
from hwsim.config.problems import InvalidSpecError, validated
from hwsim.config.wording import listed, shown
from hwsim.config.yaml_source import parse_value
from hwsim.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Setting:
    """One ``--set KEY=VALUE``: what stands before a problem with it, the path of its key, its value."""

    origin: str
    path: KeyPath
    value: Any


def key_problem(key: str) -> str | None:
    """Return why ``key`` is not the dotted path of one value of an architecture, or ``None`` if it is."""
    leaves = closest_leaves(ArchSpec, key)
    if key in leaves and "*" not in key:
        return None
    below = [leaf for leaf in leaves if leaf.startswith(f"{key}.")]
    if below:
        return f"a group of keys, not a value; allowed: {listed(below)}"
    closest = did_you_mean(key, leaves) or _same_last_part(key)
    return f"unknown key{closest or f'; allowed: {listed(leaves)}'}"


def _same_last_part(key: str) -> str:
    """Return a question for who left out the groups that a key lies in, as in ``rows``."""
    last = key.rpartition(".")[2]
    fitting = [leaf for leaf in leaf_paths(ArchSpec) if leaf.endswith(f".{last}")]
    return f"; did you mean {' or '.join(map(repr, fitting))}?" if fitting else ""


def parse_settings(texts: Sequence[str]) -> tuple[list[Setting], list[str]]:
    """Return what ``KEY=VALUE`` texts set, values as in YAML, and one line for each that cannot be read."""
    settings: list[Setting] = []
    problems: list[str] = []
    for text in texts:
        try:
            settings.append(_parse_setting(text))
        except ConfigError as error:
            problems += error.problems
    return settings, problems


def _parse_setting(text: str) -> Setting:
    origin = f"--set {text if text.isprintable() else shown(text)}"
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{origin}: must be KEY=VALUE, such as array.rows=32")
    path = tuple(key.strip().split("."))
    problem = key_problem(".".join(path))
    if problem:
        raise ConfigError(f"{origin}: {dotted(path)}: {problem}")
    return Setting(origin, path, parse_value(value, origin))


def with_overrides(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of an architecture's data with the values of ``overrides`` at their dotted keys."""
    merged = dict(data)
    for key, value in overrides.items():
        merged = replaced(merged, tuple(key.split(".")), value)
    return merged


def arch_data(spec: ArchSpec) -> dict[str, Any]:
    """Return what was said in ``spec`` without the defaults, so that defaults follow what is overridden."""
    return spec.model_dump(exclude_unset=True)


def apply_overrides(spec: ArchSpec, overrides: Mapping[str, Any]) -> ArchSpec:
    """Return ``spec`` with values replaced, e.g. ``{"array.rows": 32}``, and validated as a whole.

    Raises:
        ConfigError: with every unknown key and every value that does not fit, each named by its key.
    """
    unknown = unknown_keys(overrides)
    if unknown:
        raise ConfigError(unknown)
    try:
        return validated(ArchSpec, with_overrides(arch_data(spec), overrides))
    except InvalidSpecError as error:
        raise ConfigError(map(str, error.problems)) from None


def unknown_keys(keys: Iterable[str]) -> list[str]:
    """Return one line for each key that is no value of an architecture."""
    return [f"{key}: {problem}" for key in keys if (problem := key_problem(key))]
