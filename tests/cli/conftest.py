"""The command line in this process, in an empty working directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Hwsim, Outcome

from hwsim.cli import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hwsim(here: Path, capsys: pytest.CaptureFixture[str]) -> Hwsim:
    """``hwsim("run", "edge16", …)`` returns exit code, stdout and stderr."""

    def run(*args: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(args)
        printed = capsys.readouterr()
        code = left.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, printed.out, printed.err)

    return run
