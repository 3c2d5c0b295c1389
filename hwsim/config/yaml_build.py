"""Turns a tree of YAML nodes into plain data, noting where each key and value stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from hwsim.config.keypath import KeyPath
from hwsim.config.wording import shown

LARGEST_NODE_COUNT = 100_000
LARGEST_NODE_DEPTH = 64
_LONGEST_NUMBER = 64

_TAG = "tag:yaml.org,2002:"
_STRING, _MAPPING, _SEQUENCE = _TAG + "str", _TAG + "map", _TAG + "seq"

SCALAR_PATTERNS = {
    _TAG + "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    _TAG + "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    _TAG + "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    _TAG + "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}


def _whole_number(text: str) -> int:
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))


def _number(text: str) -> float:
    return float(text.replace(".", "") if text[-1] in "fFnN" else text)


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    _TAG + "null": lambda _: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _whole_number,
    _TAG + "float": _number,
}


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file; lines and columns count from 1, as editors do."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"

    @classmethod
    def of(cls, node: yaml.Node) -> Position:
        """Return where ``node`` starts; an alias stands where its anchor does."""
        return cls.at(node.start_mark)

    @classmethod
    def at(cls, mark: yaml.Mark) -> Position:
        """Return the position of one of PyYAML's marks, which count from 0."""
        return cls(mark.line + 1, mark.column + 1)

    @classmethod
    def at_offset(cls, text: str, offset: int) -> Position:
        """Return the position of the character at ``offset``."""
        before = text[:offset]
        return cls(before.count("\n") + 1, offset - before.rfind("\n"))


class UnreadableError(Exception):
    """Text that is not the YAML of a specification, and where. Callers add the name of the file."""

    def __init__(self, position: Position, problem: str) -> None:
        self.position = position
        self.problem = problem
        super().__init__(f"{position}: {problem}")


class Builder:
    """Builds data from nodes; problems that leave the rest readable are collected, not raised.

    An alias is built again wherever it stands, so the bounds on count and depth hold for the expanded data.
    """

    def __init__(self) -> None:
        self.keys: dict[KeyPath, Position] = {}
        self.values: dict[KeyPath, Position] = {}
        self.problems: list[tuple[Position, str]] = []

    def build(self, node: yaml.Node, path: KeyPath = (), depth: int = 1) -> Any:
        """Return the data of ``node``, which stands at ``path``.

        Raises:
            UnreadableError: aliases make the data too large or endlessly deep.
        """
        self._refuse_excess(node, depth)
        self.values[path] = Position.of(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        return self._refused(node, f"the tag {shown(node.tag)} is not allowed")

    def _refuse_excess(self, node: yaml.Node, depth: int) -> None:
        if depth > LARGEST_NODE_DEPTH:
            raise UnreadableError(Position.of(node), f"nested deeper than {LARGEST_NODE_DEPTH} levels")
        if len(self.values) >= LARGEST_NODE_COUNT:
            problem = f"more than {LARGEST_NODE_COUNT:,} values, counting each alias"
            raise UnreadableError(Position.of(node), problem)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, position = self._key(key_node), Position.of(key_node)
            if key is None:
                continue
            if key in data:
                first = self.keys[(*path, key)]
                self._refused(key_node, f"duplicate key {shown(key)}; it stands at {first} already")
                continue
            self.keys[(*path, key)] = position
            data[key] = self.build(value_node, (*path, key), depth + 1)
        return data

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._refused(node, "a key must be text, not a list or a mapping")
            return None
        key = self._scalar(node)
        if not isinstance(key, str):
            self._refused(node, f"a key must be text, not {shown(key)}")
            return None
        return key

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        if node.tag == _STRING:
            return text if text.isprintable() or _encodable(text) else self._refused(node, "not valid Unicode")
        pattern = SCALAR_PATTERNS.get(node.tag)
        if pattern is None:
            return self._refused(node, f"the tag {shown(node.tag)} is not allowed")
        if not pattern.match(text):
            return self._refused(node, f"{shown(text)} is no {node.tag.removeprefix(_TAG)}")
        if len(text) > _LONGEST_NUMBER:
            return self._refused(node, f"a number of {len(text)} characters; at most {_LONGEST_NUMBER}")
        return _CONVERTERS[node.tag](text)

    def _refused(self, node: yaml.Node, problem: str) -> None:
        self.problems.append((Position.of(node), problem))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
