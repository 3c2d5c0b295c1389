"""Reads a YAML file into plain data that remembers the line and column of every key and value.

Scalars follow the core schema of YAML 1.2: ``500e6`` is a number, only ``true`` and ``false`` are booleans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hwsim.config.keypath import KeyPath
from hwsim.config.yaml_build import (
    LARGEST_NODE_COUNT,
    LARGEST_NODE_DEPTH,
    SCALAR_PATTERNS,
    Builder,
    Position,
    UnreadableError,
)
from hwsim.errors import ConfigError

LARGEST_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's data, where each part of it stands, and problems that did not keep it from being read.

    ``keys`` and ``values`` map a path to the position of the key, or of the value, at that path.
    """

    name: str
    data: dict[str, Any]
    keys: Mapping[KeyPath, Position]
    values: Mapping[KeyPath, Position]
    problems: tuple[tuple[Position, str], ...]

    def position(self, path: KeyPath, *, of_key: bool = False) -> Position:
        """Return where ``path`` stands; a path that the file lacks stands where its nearest parent does."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path not in self.values:
            path = path[:-1]
        return self.values[path]


def read_document(path: Path) -> Document:
    """Read and check the syntax of one YAML file whose top level is a mapping.

    Raises:
        ConfigError: the file cannot be read as such; one line, with the position where there is one.
    """
    return parse_document(_read_text(path), str(path))


def parse_document(text: str, name: str) -> Document:
    """Return the data of YAML ``text``; ``name`` stands before the position in every message.

    Raises:
        ConfigError: not YAML, empty, or the top level is no mapping.
    """
    builder = Builder()
    try:
        root = _compose(text)
        data = builder.build(root) if root else None
    except UnreadableError as error:
        raise ConfigError(f"{name}:{error}") from None
    if root is None:
        raise ConfigError(f"{name}: the file is empty")
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:{Position.of(root)}: the top level must be a mapping of keys to values")
    return Document(name, data, builder.keys, builder.values, tuple(builder.problems))


def parse_value(text: str, origin: str) -> Any:
    """Return the value of one YAML scalar or flow collection; empty text is ``None``.

    Raises:
        ConfigError: not YAML; the line starts with ``origin``.
    """
    builder = Builder()
    try:
        root = _compose(text)
        value = builder.build(root) if root else None
    except UnreadableError as error:
        raise ConfigError(f"{origin}: {error.problem}") from None
    if builder.problems:
        raise ConfigError(f"{origin}: {problem}" for _, problem in builder.problems)
    return value


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a YAML file") from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {LARGEST_FILE_BYTES:,} bytes; not a specification")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8 (byte {error.start})") from None


def _compose(text: str) -> yaml.Node | None:
    """Return the tree of nodes, every failure of PyYAML turned into an ``UnreadableError``.

    Besides its own errors PyYAML lets ValueError and OverflowError through, for escapes and directives whose
    number is too large.
    """
    try:
        loader = _CoreLoader(text)
    except yaml.reader.ReaderError as error:
        position = Position.at_offset(text, error.position)
        raise UnreadableError(position, "not valid YAML: a character that cannot be printed") from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        raise UnreadableError(Position.at(mark), f"not valid YAML: {_explained(error)}") from None
    except (ValueError, OverflowError):
        problem = "not valid YAML: a number in an escape or a directive is too large"
        raise UnreadableError(Position.at(loader.get_mark()), problem) from None


def _explained(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's explanation on one line, or a plainer one for the mistakes that are made most often."""
    problem, start = error.problem or error.context or "cannot be parsed", error.context_mark
    if "'\\t'" in problem:
        return "a tab cannot indent; use spaces"
    if "another document" in problem:
        return "a file holds one document; remove what follows '---'"
    if error.context and start and error.problem:
        problem += f" ({error.context} that starts at line {start.line + 1}, column {start.column + 1})"
    return re.sub(r"\s+", " ", problem)


class _CoreLoader(yaml.SafeLoader):
    """Composes nodes whose plain scalars have the tags of the core schema, bounded in number and depth."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (declared as an instance attribute by PyYAML's stubs)
        None: list(SCALAR_PATTERNS.items())
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node and those below it, refusing what no specification needs."""
        self._depth += 1
        self._count += 1
        if self._depth > LARGEST_NODE_DEPTH or self._count > LARGEST_NODE_COUNT:
            what = f"nested deeper than {LARGEST_NODE_DEPTH} levels"
            if self._count > LARGEST_NODE_COUNT:
                what = f"more than {LARGEST_NODE_COUNT:,} values"
            raise yaml.composer.ComposerError(None, None, what, self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node
