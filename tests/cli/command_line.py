"""Runs the command line, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COMMAND = [sys.executable, "-m", "hwsim"]
MLP = Path(__file__).parents[2] / "workloads" / "digits_mlp"

TINY_SWEEP = """\
schema_version: 1
name: tiny
architecture: edge16
workloads: [digits_mlp]
samples: 4
axes:
  - array.rows: [8, 16]
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Hwsim = Callable[..., Outcome]


def in_a_process(*args: str) -> Outcome:
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def on_a_terminal(columns: int, *args: str) -> list[str]:
    """Return the lines that a terminal of this width would get, without colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    process = subprocess.Popen([*COMMAND, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(pieces).decode()).splitlines()


def mlp_samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    with np.load(MLP / "digits_mlp.npz") as arrays:
        return arrays["test_inputs"][:count], arrays["test_labels"][:count]
