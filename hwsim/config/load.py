"""Loads specifications from files; all errors of a file are reported at once, one line each, with position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.config.arch import ArchSpec
from hwsim.config.keypath import KeyPath, replaced, within
from hwsim.config.overrides import Setting, parse_settings
from hwsim.config.problems import AnySpec, InvalidSpecError, Problem, validated
from hwsim.config.shipped import ARCHITECTURE, SWEEP, WORKLOAD, WORKLOAD_FILE, Kind
from hwsim.config.sweep import SweepSpec, combination_problems
from hwsim.config.workload import WorkloadSpec
from hwsim.config.yaml_source import Document, read_document
from hwsim.errors import ConfigError


@dataclass(frozen=True, slots=True)
class WorkloadFiles:
    """Where a workload of a sweep lies, and its samples, labels and calibration samples where they are not its own.

    ``place`` is file, line and column of its entry, for messages.
    """

    path: Path
    inputs: Path | None
    labels: Path | None
    place: str
    calibration: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedSweep:
    """A sweep whose names have been looked up and whose points have all been validated.

    Attributes:
        spec: What the file says.
        path: The file.
        base: The architecture that is varied.
        workloads: The files of each workload, by its name in the sweep.
    """

    spec: SweepSpec
    path: Path
    base: ArchSpec
    workloads: Mapping[str, WorkloadFiles]


def load_arch(name_or_path: str | Path, overrides: Sequence[str] = ()) -> ArchSpec:
    """Return the architecture in a YAML file, or the shipped one of that name; an existing file comes first.

    Args:
        name_or_path: Where to look.
        overrides: Keys to set, as in ``"array.rows=32"``, values written as in YAML; the last of a key counts.

    Raises:
        ConfigError: one line for each problem, named by file, line and column, or by the override.
    """
    document = read_document(ARCHITECTURE.find(name_or_path))
    settings, unreadable = parse_settings(overrides)
    return _spec_in(ArchSpec, document, settings=settings, lines=unreadable)


def load_sweep(name_or_path: str | Path) -> LoadedSweep:
    """Return the sweep in a YAML file, or the shipped one of that name; an existing file comes first.

    Its architecture and workloads are looked up beside the file, then in the working directory, then by
    shipped name.

    Raises:
        ConfigError: one line for each problem of the file and of its architecture's file; also where only a
            combination of values makes no architecture.
    """
    path = SWEEP.find(name_or_path)
    document = read_document(path)
    architecture = _looked_up(ARCHITECTURE, document, ("architecture",), path.parent)
    base, lines = _attempted(architecture) if isinstance(architecture, Path) else (None, ())
    entries = _entries(document, path.parent)
    found = [architecture, *(part for entry in entries for part in entry)]
    missing = [part for part in found if isinstance(part, Problem)]
    spec = _spec_in(SweepSpec, document, missing, lines=lines)
    assert base is not None  # noqa: S101  (else its problems would have been raised)
    _refuse(_lines(document, combination_problems(spec, base)))
    return LoadedSweep(spec, path, base, _files(spec, entries, document))


def load_workload_spec(folder: str | Path) -> WorkloadSpec:
    """Return what a workload's YAML file says; the arrays that it names are not opened.

    Args:
        folder: A folder with a ``workload.yaml``, such a file, or a shipped name; a path comes first.

    Raises:
        ConfigError: one line for each problem, with file, line and column.
    """
    path = WORKLOAD.find(folder)
    return _spec_in(WorkloadSpec, read_document(path / WORKLOAD_FILE if path.is_dir() else path))


def _attempted(path: Path) -> tuple[ArchSpec | None, tuple[str, ...]]:
    """Return the architecture, or why there is none."""
    try:
        return load_arch(path), ()
    except ConfigError as error:
        return None, error.problems


_Found = Path | Problem | None
_FILES = ("inputs", "labels", "calibration")


def _entries(document: Document, beside: Path) -> list[tuple[_Found, ...]]:
    """Return what each entry's workload and its files stand for, or the problems with them."""
    entries = document.data.get("workloads")
    if not isinstance(entries, list):
        return []
    return [_entry(document, index, beside) for index in range(len(entries))]


def _entry(document: Document, index: int, beside: Path) -> tuple[_Found, ...]:
    path: KeyPath = ("workloads", index)
    if not isinstance(document.data["workloads"][index], dict):
        return (_looked_up(WORKLOAD, document, path, beside), *(None for _ in _FILES))
    files = (_sample_file(document, (*path, name), beside) for name in _FILES)
    return (_looked_up(WORKLOAD, document, (*path, "workload"), beside), *files)


def _sample_file(document: Document, path: KeyPath, beside: Path) -> _Found:
    """Return the file at ``path``, relative to the document; None if there is none."""
    name = _value_at(document, path)
    if not isinstance(name, str) or not name:
        return None
    file = beside / name
    return file if file.is_file() else Problem(path, f"{file}: no such file")


def _files(spec: SweepSpec, entries: Sequence[tuple[_Found, ...]], document: Document) -> dict[str, WorkloadFiles]:
    """Return the files of every entry, all of which have been found."""
    files = {}
    for index, (entry, found) in enumerate(zip(spec.workloads, entries, strict=True)):
        workload, inputs, labels, calibration = (part if isinstance(part, Path) else None for part in found)
        assert workload is not None  # noqa: S101  (else it would have been a problem)
        place = f"{document.name}:{document.position(('workloads', index))}: workloads[{index}]"
        files[entry.workload] = WorkloadFiles(workload, inputs, labels, place, calibration)
    return files


def _value_at(document: Document, path: KeyPath) -> Any:
    """Return what stands at ``path``; None where a mapping lacks the key."""
    value: Any = document.data
    for step in path:
        value = value.get(step) if isinstance(value, dict) else value[step]
    return value


def _looked_up(kind: Kind, document: Document, path: KeyPath, beside: Path) -> Path | Problem | None:
    """Return what the name at ``path`` stands for, or the problem with it; ``None`` if it is no name."""
    name = _value_at(document, path)
    if not isinstance(name, str) or not name:
        return None
    try:
        return kind.find(name, beside)
    except ConfigError as error:
        return Problem(path, str(error))


def _spec_in(
    model: type[AnySpec],
    document: Document,
    more: Iterable[Problem] = (),
    *,
    settings: Sequence[Setting] = (),
    lines: Iterable[str] = (),
) -> AnySpec:
    """Return the specification in a document with ``settings`` in force.

    Raises:
        ConfigError: with all problems of the document, ``more`` that were found already, and ``lines``.
    """
    spec, problems = None, list(more)
    try:
        spec = validated(model, _data_with(document, settings))
    except InvalidSpecError as error:
        problems += error.problems
    _refuse([*_lines(document, problems, settings), *lines])
    assert spec is not None  # noqa: S101  (else there was a problem)
    return spec


def _refuse(lines: Iterable[str]) -> None:
    found = list(dict.fromkeys(lines))
    if found:
        raise ConfigError(found)


def _data_with(document: Document, settings: Iterable[Setting]) -> dict[str, Any]:
    """Return the document's data with the settings, save those below what should be a mapping but is not."""
    data = document.data
    for setting in settings:
        parents: Any = data
        for step in setting.path[:-1]:
            parents = parents.get(step, {}) if isinstance(parents, dict) else None
        if isinstance(parents, dict):
            data = replaced(data, setting.path, setting.value)
    return data


def _lines(document: Document, problems: Iterable[Problem], settings: Sequence[Setting] = ()) -> Iterator[str]:
    """Yield one line for each problem: those of the file by position, then those of settings."""
    located = list(document.problems)
    unreadable = {position for position, _ in document.problems}
    of_settings = []
    for problem in problems:
        setting = _setting_to_blame(problem, settings)
        position = document.position(problem.path, of_key=problem.at_key)
        if setting:
            of_settings.append(f"{setting.origin}: {problem}")
        elif position not in unreadable:
            located.append((position, str(problem)))
    yield from (f"{document.name}:{position}: {text}" for position, text in sorted(located))
    yield from of_settings


def _setting_to_blame(problem: Problem, settings: Sequence[Setting]) -> Setting | None:
    """Return the setting in force that gave the wrong value or takes part in a broken rule."""
    for path in (problem.path, *problem.others):
        for setting in reversed(settings):
            if within(path, setting.path):
                return setting
    return None
