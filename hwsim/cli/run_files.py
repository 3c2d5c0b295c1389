"""The files that ``hwsim run`` writes, each at once."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwsim.errors import ConfigError
from hwsim.numerics.formats import IntArray
from hwsim.results.files import RESULT_NAME, write_bytes, write_text
from hwsim.results.run_result import RunResult


def check_targets(folder: Path | None, *files: Path | None) -> None:
    """Refuse, before anything runs, a folder that is a file or a file that is a folder.

    Raises:
        ConfigError: one line for each.
    """
    problems = []
    if folder and folder.exists() and not folder.is_dir():
        problems.append(f"{folder}: a file; allowed: a folder to write to")
    problems += [f"{file}: a folder; allowed: a file to write" for file in files if file and file.is_dir()]
    if problems:
        raise ConfigError(problems)


def check_endings(files: Mapping[str, tuple[Path | None, str]]) -> None:
    """Refuse, before anything runs, files to write whose names end like those of another kind, by option.

    Raises:
        ConfigError: one line for each.
    """
    problems = [
        f"{option} {file}: a name that ends with '{file.suffix}'; allowed: {ending}"
        for option, (file, ending) in files.items()
        if file is not None and file.suffix.lower() != ending
    ]
    if problems:
        raise ConfigError(problems)


def write_result(result: RunResult, folder: Path) -> list[Path]:
    """Write the result as JSON and its tables as CSV; a table that may be empty has a file only if it is not.

    Raises:
        ConfigError: a file cannot be written.
    """
    text = json.dumps(result.to_json_dict(), indent=2, allow_nan=False)
    written = [write_text(folder / RESULT_NAME, text + "\n")]
    tables = {name: getattr(result, name) for name in ("layers", "energy", "overflows", "events", "errors")}
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        if name in ("layers", "energy") or len(table):
            written.append(write_text(path, table.to_csv(index=False, lineterminator="\n")))
        else:
            path.unlink(missing_ok=True)  # of an earlier run
    return written


def write_tensors(tensors: Mapping[str, IntArray], path: Path) -> Path:
    """Write an ``.npz`` with these arrays; the same arrays give the same bytes.

    Not by ``numpy.savez``, whose own arguments would hide tensors of the same name.

    Raises:
        ConfigError: the file cannot be written.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in tensors.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return write_bytes(path, buffer.getvalue())
