"""``hwsim import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from hwsim.cli.output import print_lines
from hwsim.errors import ConfigError
from hwsim.readers.scalesim import read_topology
from hwsim.readers.scalesim_config import ImportedConfig, read_config
from hwsim.results.files import write_bytes, write_text

ARCHITECTURE_FILE = "arch.yaml"


def import_scalesim(config: Path, paths: Sequence[Path], *, force: bool) -> None:
    """Write the architecture in a SCALE-Sim configuration, and its topology, which is a workload as it is, beside it.

    Args:
        config: the ``.cfg`` file.
        paths: [TOPOLOGY] DIR.
        force: overwrite what is there.

    Raises:
        ConfigError: a file cannot be read or makes no sense, or there is something in the way.
        UnsupportedError: the topology has sparse weights.
    """
    if len(paths) > 2:
        raise ConfigError(f"{len(paths) + 1} paths; allowed: CFG [TOPOLOGY] DIR")
    *topologies, folder = paths
    imported = read_config(config)
    copies = [(one, folder / one.name) for one in topologies]
    for one in topologies:
        read_topology(one)
    target = folder / ARCHITECTURE_FILE
    _check_free([target, *(copy for _, copy in copies)], force=force)
    write_text(target, _yaml(imported))
    for one, copy in copies:
        write_bytes(copy, one.read_bytes())
    print_lines(*(f"note: {note}" for note in imported.notes))
    print_lines(*(f"wrote {path}" for path in (target, *(copy for _, copy in copies))))
    workload = copies[0][1] if copies else "WORKLOAD"
    print_lines(f"next: hwsim run {target} {workload}")


def _check_free(targets: Sequence[Path], *, force: bool) -> None:
    taken = [target for target in targets if target.exists() and not force]
    if taken:
        raise ConfigError(
            f"{one}: exists already; allowed: another folder, or --force to overwrite it" for one in taken
        )


def _yaml(imported: ImportedConfig) -> str:
    notes = "".join(f"# {note}\n" for note in imported.notes)
    return notes + yaml.safe_dump(imported.data, sort_keys=False, allow_unicode=True)
