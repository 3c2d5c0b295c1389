"""Reading and checking an energy table file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hwsim.config.problems import InvalidSpecError, Problem, validated
from hwsim.config.yaml_source import Document, read_document
from hwsim.energy.actions import TableFile
from hwsim.errors import ConfigError


def read_table_file(path: Path) -> TableFile:
    """Return the checked contents of a table file.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or breaks the schema; one line for each problem, with file,
            line and column.
    """
    document = read_document(path)
    if document.problems:
        raise ConfigError(_lines(document, ()))
    try:
        return validated(TableFile, document.data)
    except InvalidSpecError as error:
        raise ConfigError(_lines(document, error.problems)) from None


def _lines(document: Document, problems: Iterable[Problem]) -> Iterator[str]:
    found = [(document.position(problem.path, of_key=problem.at_key), str(problem)) for problem in problems]
    yield from (f"{document.name}:{position}: {text}" for position, text in sorted([*document.problems, *found]))
