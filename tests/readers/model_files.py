"""A model's bytes as a file: read, or refused with what is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hwsim.errors import ConfigError
from hwsim.readers.read import read_workload
from hwsim.readers.workload import Workload


@dataclass(frozen=True)
class ModelFiles:
    """``name`` is the file's, in a folder of a test's own."""

    name: str

    def written(self, folder: Path, content: bytes) -> Path:
        path = folder / self.name
        path.write_bytes(content)
        return path

    def read(self, folder: Path, content: bytes) -> Workload:
        return read_workload(self.written(folder, content))

    def refusal(self, folder: Path, content: bytes, kind: type[Exception] = ConfigError) -> list[str]:
        with pytest.raises(kind) as refused:
            self.read(folder, content)
        return str(refused.value).replace(f"{folder}/", "").splitlines()
