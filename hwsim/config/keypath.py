"""Paths into nested specification data: what a message calls ``layers[0].kernel[1]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KeyPath = tuple[str | int, ...]

_LONGEST_KEY_SHOWN = 60


def dotted(path: KeyPath) -> str:
    """Return the path as it is written in messages, always one printable line."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_printable(step)}" for step in path)
    return text.removeprefix(".")


def _printable(key: str) -> str:
    text = key if key.isprintable() and key else repr(key)
    return text if len(text) <= _LONGEST_KEY_SHOWN else text[:_LONGEST_KEY_SHOWN] + "…"


def within(path: KeyPath, parent: KeyPath) -> bool:
    """Whether ``path`` is ``parent`` or lies below it."""
    return path[: len(parent)] == parent


def replaced(data: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """Return a copy of nested mappings in which the key at ``path`` holds ``value``.

    Only the mappings along the path are copied; missing ones are created, what is no mapping is replaced.
    """
    key = str(path[0])
    if len(path) == 1:
        return {**data, key: value}
    below = data.get(key)
    return {**data, key: replaced(below if isinstance(below, Mapping) else {}, path[1:], value)}


def without(data: Any, path: KeyPath) -> Any:
    """Return a copy of nested data that lacks the key at ``path``; an item of a list stays."""
    if not path or isinstance(data, str):
        return data
    step, below = path[0], path[1:]
    if isinstance(data, Mapping):
        kept = {key: item for key, item in data.items() if below or key != step}
        return {**kept, step: without(data[step], below)} if below and step in data else kept
    if isinstance(data, Sequence) and isinstance(step, int):
        return [without(item, below) if index == step else item for index, item in enumerate(data)]
    return data
