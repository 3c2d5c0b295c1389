"""Turns pydantic's errors into short plain sentences: what was wrong, what is allowed, the closest name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

from hwsim.config.base import IDENTIFIER
from hwsim.config.places import Place, allowed_values, fixed_length
from hwsim.config.wording import got, listed, shown
from hwsim.errors import did_you_mean


def message(place: Place, details: ErrorDetails) -> str:
    """Return the text for one error; an error type without a sentence of its own keeps pydantic's."""
    kind, value = details["type"], details["input"]
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}, got {got(value)}"
    if kind in _SENTENCES:
        return _SENTENCES[kind](place, details)
    return f"{details['msg'][:1].lower()}{details['msg'][1:]}, got {got(value)}"


_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "string_too_short": "text that is not empty",
}


def _unknown_key(place: Place, _: ErrorDetails) -> str:
    allowed = list(place.owner.model_fields)
    return f"unknown key; allowed: {listed(allowed)}{did_you_mean(str(place.path[-1]), allowed)}"


def _missing(place: Place, details: ErrorDetails) -> str:
    if isinstance(details["loc"][-1], int):
        return f"needs {fixed_length(place.annotation)} values, got {len(details['input'])}"
    return "this required key is missing"


def _not_listed(place: Place, details: ErrorDetails) -> str:
    return _unknown_value(details["input"], allowed_values(place.annotation))


def _unknown_type(place: Place, details: ErrorDetails) -> str:
    return _unknown_value(details["input"].get("type"), allowed_values(place.annotation))


def _no_type(place: Place, _: ErrorDetails) -> str:
    return f"the key 'type' is required; allowed: {listed(allowed_values(place.annotation))}"


def _unknown_value(value: Any, allowed: tuple[Any, ...]) -> str:
    closest = did_you_mean(value, map(str, allowed)) if isinstance(value, str) else ""
    return f"unknown value {shown(value)}; allowed: {listed(allowed)}{closest}"


def _out_of_range(place: Place, details: ErrorDetails) -> str:
    return f"{shown(details['input'])} is out of range; allowed: {_range(place, details['ctx'])}"


def _range(place: Place, context: dict[str, Any]) -> str:
    """Return both ends of the field's range, or the end that was crossed where only that is known."""
    limits = {
        name: getattr(limit, name)
        for limit in place.limits
        for name in ("ge", "gt", "le", "lt")
        if getattr(limit, name, None) is not None
    } or context
    low, high = limits.get("ge"), limits.get("le")
    if low is not None and high is not None:
        return f"{low} to {high}"
    parts = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return " and ".join(f"{words} {limits[name]:g}" for name, words in parts.items() if name in limits)


def _too_short(_: Place, details: ErrorDetails) -> str:
    return f"needs at least {details['ctx']['min_length']} value, got {len(details['input'])}"


def _too_long(place: Place, details: ErrorDetails) -> str:
    highest, count = details["ctx"]["max_length"], len(details["input"])
    words = "needs" if fixed_length(place.annotation) else "allows at most"
    return f"{words} {highest} values, got {count}"


def _wrong_characters(_: Place, details: ErrorDetails) -> str:
    is_identifier = details["ctx"]["pattern"] == IDENTIFIER
    expected = "letters, digits and _, with no digit first" if is_identifier else "one line of printable text"
    return f"must be {expected}, got {got(details['input'])}"


def _string_too_long(_: Place, details: ErrorDetails) -> str:
    return f"must be at most {details['ctx']['max_length']} characters, got {len(details['input'])}"


_SENTENCES: dict[str, Callable[[Place, ErrorDetails], str]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "literal_error": _not_listed,
    "union_tag_invalid": _unknown_type,
    "union_tag_not_found": _no_type,
    "greater_than": _out_of_range,
    "greater_than_equal": _out_of_range,
    "less_than": _out_of_range,
    "less_than_equal": _out_of_range,
    "too_short": _too_short,
    "too_long": _too_long,
    "string_pattern_mismatch": _wrong_characters,
    "string_too_long": _string_too_long,
}
