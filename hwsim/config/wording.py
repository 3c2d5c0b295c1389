"""How values and lists of names look in messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST_VALUE_SHOWN = 40


def shown(value: Any) -> str:
    """Return one short printable line for a value: ``true``, ``nothing``, ``16``, ``'text'``, ``a list``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    return _short(value)


def got(value: Any) -> str:
    """Return what stands where something else should: like ``shown``, but text is called text."""
    return f"the text {shown(value)}" if isinstance(value, str) else shown(value)


def listed(names: Iterable[object]) -> str:
    """Return ``a, b, c``, or ``none`` when there are no names."""
    return ", ".join(str(name) for name in names) or "none"


def _short(value: object) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_VALUE_SHOWN:
        return repr(value[:_LONGEST_VALUE_SHOWN]) + "…"
    text = repr(value)
    return text if isinstance(value, str) or len(text) <= _LONGEST_VALUE_SHOWN else text[:_LONGEST_VALUE_SHOWN] + "…"
