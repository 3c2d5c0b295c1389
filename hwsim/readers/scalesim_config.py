"""Reads SCALE-Sim's configuration files as architectures.

What SCALE-Sim leaves out of its time is made so fast here that it takes none: requantization, the scratchpads' ports,
and DRAM where the file does not bound its bandwidth.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.config.arch import ArchSpec
from hwsim.config.problems import InvalidSpecError, validated
from hwsim.errors import ConfigError, did_you_mean

BYTES_PER_KB = 1024
UNLIMITED_BYTES_PER_CYCLE = 65536
UNLIMITED_LANES = 4096
DATAFLOWS = {"os": "output_stationary", "ws": "weight_stationary", "is": "input_stationary"}
OVERLAPS = {"os": "drain", "ws": "none", "is": "none"}
LINKS = 3  # between DRAM and the three scratchpads, each with the bandwidth that a single value gives

_GENERAL, _ARCHITECTURE, _PRESETS = "general", "architecture_presets", "run_presets"
_PLACES = {
    "run_name": _GENERAL,
    "arrayheight": _ARCHITECTURE,
    "arraywidth": _ARCHITECTURE,
    "ifmapsramszkb": _ARCHITECTURE,
    "filtersramszkb": _ARCHITECTURE,
    "ofmapsramszkb": _ARCHITECTURE,
    "dataflow": _ARCHITECTURE,
    "interfacebandwidth": _PRESETS,
}
_OPTIONAL = {"bandwidth": _ARCHITECTURE}


@dataclass(frozen=True, slots=True)
class ImportedConfig:
    """The architecture in a configuration file, as its YAML's data, and a line for each thing that is not in it."""

    data: dict[str, Any]
    notes: tuple[str, ...]


def read_config(path: Path) -> ImportedConfig:
    """Return the architecture that a ``.cfg`` file describes.

    Raises:
        ConfigError: the file cannot be read, lacks a key, or has a value that makes no sense; one line for each.
    """
    text = _text(path)
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigError(_parse_problem(path, error)) from None
    values = _Values(path, text, parser)
    data = values.architecture()
    if values.problems:
        raise ConfigError(values.problems)
    try:
        validated(ArchSpec, data)
    except InvalidSpecError as error:
        raise ConfigError(f"{path}: {problem}" for problem in error.problems) from None
    return ImportedConfig(data, tuple(values.notes()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no text in UTF-8: {error.reason} at byte {error.start}") from None


def _parse_problem(path: Path, error: configparser.Error) -> str:
    """Return what is wrong in one line."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"{path}:{error.lineno}: a key before the first [section]"
    if isinstance(error, configparser.DuplicateOptionError):
        return f"{path}:{error.lineno}: {error.option} twice in [{error.section}]"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"{path}:{error.lineno}: a second [{error.section}]"
    if isinstance(error, configparser.ParsingError):
        return f"{path}:{error.errors[0][0]}: neither a [section] nor KEY = VALUE"
    return f"{path}: {' '.join(str(error).split())}"


class _Values:
    """The values of a file, and every problem with them."""

    def __init__(self, path: Path, text: str, parser: configparser.ConfigParser) -> None:
        self._path, self._parser = path, parser
        self._rows = text.splitlines()
        self.problems: list[str] = []

    def architecture(self) -> dict[str, Any]:
        """Return the data of an architecture's YAML; where there are problems, it makes no sense."""
        dataflow = self._one_of("dataflow", tuple(DATAFLOWS))
        pads = {"activations": "ifmapsramszkb", "weights": "filtersramszkb", "outputs": "ofmapsramszkb"}
        return {
            "schema_version": 1,
            "name": self._text("run_name"),
            "description": f"Imported from SCALE-Sim's {self._path.name}",
            "array": {
                "rows": self._number("arrayheight"),
                "cols": self._number("arraywidth"),
                "dataflow": DATAFLOWS[dataflow],
                "fold_overlap": OVERLAPS[dataflow],
            },
            "requantizer": {"lanes": UNLIMITED_LANES, "pipeline_cycles": 0},
            "scratchpads": {
                name: {
                    "capacity_bytes": self._number(key) * BYTES_PER_KB,
                    "bytes_per_cycle": UNLIMITED_BYTES_PER_CYCLE,
                    "double_buffered": True,
                }
                for name, key in pads.items()
            },
            "dram": {"bytes_per_cycle": self._bandwidth(), "latency_cycles": 0},
        }

    def notes(self) -> Iterator[str]:
        """Yield what was added to the file's design, and what of the file has no counterpart."""
        yield "operands have 8 bits, accumulators 24; SCALE-Sim computes no values"
        yield "requantization and the scratchpads' ports take no time, as in SCALE-Sim"
        if self._one_of("interfacebandwidth", ("CALC", "USER")) == "CALC":
            yield "DRAM is as good as unlimited: InterfaceBandwidth is CALC"
        else:
            yield "DRAM's bandwidth is the sum of the links' to the three scratchpads; SCALE-Sim has a link for each"
        known = _PLACES | _OPTIONAL
        for section in self._parser.sections():
            for key, value in self._parser.items(section):
                if known.get(key) != section:
                    yield f"{section}.{self._spelling(key)} = {value}: no counterpart, left out"

    def _bandwidth(self) -> int:
        if self._one_of("interfacebandwidth", ("CALC", "USER")) == "CALC":
            return UNLIMITED_BYTES_PER_CYCLE
        values = self._text("bandwidth").split(",")
        numbers = [self._whole("bandwidth", value.strip()) for value in values]
        if len(numbers) not in (1, LINKS):
            self._problem("bandwidth", f"{len(numbers)} values; allowed: 1, or {LINKS}")
        return numbers[0] * LINKS if len(numbers) == 1 else sum(numbers)

    def _number(self, key: str) -> int:
        return self._whole(key, self._text(key))

    def _whole(self, key: str, value: str) -> int:
        if value and not (value.isdecimal() and value.isascii() and 0 < len(value) < 10 and int(value) > 0):
            self._problem(key, f"'{value}'; allowed: a whole number from 1")
            return 1
        return int(value or 1)

    def _one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._text(key)
        if value and value not in allowed:
            self._problem(key, f"'{value}'; allowed: {', '.join(allowed)}{did_you_mean(value, allowed)}")
        return value if value in allowed else allowed[0]

    def _text(self, key: str) -> str:
        """Return a value, or nothing after noting that the key is missing."""
        section = (_PLACES | _OPTIONAL)[key]
        value = self._parser.get(section, key, fallback="").strip()
        if not value:
            self._problem(key, f"missing from [{section}]")
        return value

    def _problem(self, key: str, text: str) -> None:
        """Note a problem once, with the key's line where it has one."""
        lines = [number for number, row in enumerate(self._rows, start=1) if _key_of(row) == key]
        place = f"{self._path}:{lines[0]}" if lines else str(self._path)
        line = f"{place}: {self._spelling(key)}: {text}"
        if line not in self.problems:
            self.problems.append(line)

    def _spelling(self, key: str) -> str:
        """Return a key as the file, or SCALE-Sim, writes it."""
        written = [row for row in self._rows if _key_of(row) == key]
        return written[0].replace(":", "=").split("=")[0].strip() if written else key


def _key_of(row: str) -> str:
    return row.replace(":", "=").split("=")[0].strip().lower()
