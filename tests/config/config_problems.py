"""Helpers for tests that write a specification and collect the lines that it gives if it is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hwsim.errors import EXIT_USAGE, ConfigError

Write = Callable[[str], str]


def problems_of(load: Callable[..., object], *arguments: object) -> list[str]:
    """Return the lines of the ConfigError that ``load(*arguments)`` raises."""
    with pytest.raises(ConfigError) as caught:
        load(*arguments)
    assert caught.value.exit_code == EXIT_USAGE
    return list(caught.value.problems)
