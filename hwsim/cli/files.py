"""``hwsim schema`` and ``hwsim init``."""

from __future__ import annotations

from pathlib import Path

from hwsim.cli.output import print_json, print_lines
from hwsim.cli.wording import one_of
from hwsim.config.schema import MODELS, SpecKind, json_schema
from hwsim.config.shipped import WORKLOAD_FILE
from hwsim.config.templates import template
from hwsim.errors import ConfigError
from hwsim.results.files import write_text


def print_schema(kind: str) -> None:
    """Print the JSON Schema of a kind of file.

    Raises:
        ConfigError: no such kind.
    """
    print_json(json_schema(_kind(kind)))


def write_template(kind: str, path: Path, *, force: bool) -> None:
    """Write the commented file of a kind and say how to go on.

    Raises:
        ConfigError: no such kind; there is a file already and not ``force``; it cannot be written.
    """
    wanted = _kind(kind)
    target = path / WORKLOAD_FILE if wanted == "workload" else path
    if target.is_dir():
        raise ConfigError(f"{target}: a folder; allowed: the name of a file to write")
    if target.exists() and not force:
        raise ConfigError(f"{target}: exists already; allowed: another path, or --force to overwrite it")
    write_text(target, template(wanted))
    print_lines(f"wrote {target}", *_next_steps(wanted, path))


def _kind(name: str) -> SpecKind:
    one_of(name, list(MODELS), "kind")
    return next(kind for kind in MODELS if kind == name)


def _next_steps(kind: SpecKind, path: Path) -> list[str]:
    if kind == "arch":
        return [f"next: hwsim run {path} digits_mlp"]
    if kind == "sweep":
        return [f"next: hwsim sweep {path} --dry-run"]
    return [
        f"next: add {path / 'arrays.npz'} with the layers' parameters and the samples that {WORKLOAD_FILE} names",
        f"then: hwsim check edge16 {path}",
    ]
