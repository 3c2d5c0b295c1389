"""Finds architectures, sweeps and workloads: a path, else the name of one that comes with hwsim."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwsim.config.wording import listed, shown
from hwsim.errors import ConfigError, did_you_mean

WORKLOAD_FILE = "workload.yaml"


def shipped_folder(name: str) -> Path:
    """Return where ``arch_configs`` or ``workloads`` lies: in the installed package, else beside it."""
    package = Path(__file__).resolve().parent.parent
    return package / name if (package / name).is_dir() else package.parent / name


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing that is found by path or by shipped name.

    Attributes:
        noun: What messages call it.
        folder: Where the shipped ones lie.
        pattern: Which files there stand for one, relative to the folder.
        marker: The file that makes a folder one of this kind; empty if only files are.
    """

    noun: str
    folder: str
    pattern: str
    marker: str = ""

    def shipped(self) -> dict[str, Path]:
        """Return the shipped ones by name: a file without its suffix, or the folder of a workload."""
        found = sorted(shipped_folder(self.folder).glob(self.pattern))
        if self.marker:
            return {file.parent.name: file.parent for file in found}
        return {file.stem: file for file in found}

    def find(self, name: str | Path, beside: Path | None = None) -> Path:
        """Return the path that ``name`` stands for.

        The first that exists counts: the path relative to the folder ``beside``, if that is given; the path as
        it is, relative to the working directory; the shipped name. A folder counts only if it is a workload's, so
        that a folder that happens to be called like something shipped does not hide it.

        Raises:
            ConfigError: none of them; the text lists the shipped names and the closest.
        """
        candidates = [beside / name, Path(name)] if beside else [Path(name)]
        for candidate in candidates:
            if self._is_one(candidate):
                return candidate
        shipped = self.shipped()
        if str(name) in shipped:
            return shipped[str(name)]
        raise ConfigError(f"{self._complaint(candidates[-1])}; shipped: {listed(shipped)}{_closest(name, shipped)}")

    def _is_one(self, path: Path) -> bool:
        try:
            if path.is_dir():
                return bool(self.marker) and (path / self.marker).is_file()
            return path.exists()
        except OSError:  # e.g. a name longer than the file system allows
            return False

    def _complaint(self, path: Path) -> str:
        if self._is_folder(path):
            return f"{path}: a folder without {self.marker}" if self.marker else f"{path}: a folder, not a file"
        if path.suffix or len(path.parts) > 1:
            text = str(path)
            return f"{text if text.isprintable() else shown(text)}: no such file or folder"
        return f"no {self.noun} {shown(str(path))}: neither a path nor a shipped name"

    def _is_folder(self, path: Path) -> bool:
        try:
            return path.is_dir()
        except OSError:
            return False


def _closest(name: str | Path, shipped: dict[str, Path]) -> str:
    return did_you_mean(Path(name).stem, shipped)


ARCHITECTURE = Kind("architecture", "arch_configs", "*.yaml")
SWEEP = Kind("sweep", "arch_configs", "sweeps/*.yaml")
WORKLOAD = Kind("workload", "workloads", f"*/{WORKLOAD_FILE}", marker=WORKLOAD_FILE)
