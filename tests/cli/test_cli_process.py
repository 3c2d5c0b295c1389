"""What only a process of its own shows: imports, pipes, terminals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import COMMAND, TINY_SWEEP, in_a_process, on_a_terminal

HEAVY = ("matplotlib", "numba", "numpy", "pandas", "simpy", "yaml")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom hwsim.cli import main\n"
        "try:\n    main(['--help'])\n"
        f"finally:\n    sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_output_to_a_pipe_is_plain_and_not_wrapped() -> None:
    outcome = in_a_process("run", "edge16", "digits_cnn", "--samples", "1")
    assert (outcome.code, outcome.err) == (0, "")
    assert "\x1b" not in outcome.out
    assert "layer   out_rows × depth × out_cols    MACs  cycles  utilization  energy" in outcome.out
    assert not any(line.endswith(" ") for line in outcome.out.splitlines())
    assert in_a_process("run", "edge16", "digits_cnn", "--samples", "1") == outcome


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_tables_fit_a_terminal_without_breaking_figures(columns: int, tmp_path: Path) -> None:
    lines = on_a_terminal(columns, "run", "edge16", "digits_cnn", "--samples", "1")
    table = lines[3 : lines.index("", lines.index("") + 1)]
    assert max(map(len, table)) <= columns
    assert sum(line.startswith(("conv", "fc", "logits")) for line in table) == 5
    assert all(len(line.rstrip()) > 40 for line in table if line.startswith(("conv", "fc", "logits")))


def test_a_sweep_on_a_terminal_has_a_bar(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_SWEEP)
    lines = on_a_terminal(80, "sweep", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path), "--no-plots", "--jobs", "1")
    (bar,) = (line for line in lines if "2/2 points" in line)
    assert bar.endswith("left")


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen([*COMMAND, "schema", "arch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
