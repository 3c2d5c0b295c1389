"""Everything in the README that a reader can run is run here; its two installing commands are run by CI."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hwsim.config import expand, load_sweep
from hwsim.readers.native import read_workload

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
HWSIM = shutil.which("hwsim")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    assert HWSIM is not None
    arguments = [HWSIM, *command.split()[1:]]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)


def commands() -> list[str]:
    lines = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    return [line for line in lines if line.startswith("hwsim ")]


def test_the_output_of_a_run_is_what_the_readme_shows(tmp_path: Path) -> None:
    block = next(text for text in blocks("console") if "hwsim run" in text)
    command, shown = block.removeprefix("$ ").split("\n", 1)
    assert run(command, tmp_path).stdout.split() == shown.split()


@pytest.mark.parametrize("command", [line for line in commands() if "hwsim sweep" in line])
def test_a_sweep_runs_and_writes_the_pictures_shown(command: str, tmp_path: Path) -> None:
    assert run(command, tmp_path).returncode == 0
    folder = command.split()[-1]
    pictures = re.findall(rf"\(({folder}/[^)]*)\)", README)
    assert pictures
    for picture in pictures:
        assert (tmp_path / picture).stat().st_size > 10_000


def test_every_picture_and_link_is_in_the_checkout() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert len(targets) >= 8
    missing = [target for target in targets if not (CHECKOUT / target).exists()]
    assert missing == []


def test_the_commands_in_the_text_work(tmp_path: Path) -> None:
    named = [
        "hwsim export rtl edge16 digits_cnn chip",
        "hwsim run edge16 digits_cnn --vcd waves.vcd",
        "hwsim list architectures",
        "hwsim init arch my_chip.yaml",
        "hwsim init workload my_net",
        "hwsim check edge16 digits_cnn --engines",
        "hwsim run edge16 resnet50",
        "hwsim run edge16 digits_lstm",
        "hwsim export qdq edge16 digits_cnn model.onnx",
        "hwsim explain edge16 digits_cnn --layer conv2 --output 1,2,5",
        "hwsim analyze error edge16 digits_cnn --out study",
        "hwsim analyze guard-bits edge16 digits_cnn",
        "hwsim run edge16 digits_cnn --trace trace.json",
        "hwsim plot trace.json",
        "hwsim list formats",
        "hwsim run edge16 digits_cnn --json --set array.guard_bits=2",
    ]
    for command in named:
        for part in command.removesuffix(" --json --set array.guard_bits=2").split():
            assert part in README
        finished = run(command, tmp_path)
        assert (finished.returncode, finished.stderr) == (0, ""), command


def test_the_message_shown_is_the_message_given(tmp_path: Path) -> None:
    run("hwsim init arch my_chip.yaml", tmp_path)
    chip = tmp_path / "my_chip.yaml"
    chip.write_text(chip.read_text().replace("dataflow: output", "dataflw: output"))
    finished = run("hwsim check my_chip.yaml", tmp_path)
    (shown,) = [line for line in blocks("text")[0].splitlines() if line]
    start, end = shown.split(", …")
    assert finished.returncode == 2
    assert finished.stderr.removeprefix("hwsim: ").startswith(start)
    assert finished.stderr.rstrip().endswith(end)


def test_the_sweep_shown_is_valid(tmp_path: Path) -> None:
    (tmp_path / "arrays.yaml").write_text(blocks("yaml")[0])
    assert len(expand(load_sweep(tmp_path / "arrays.yaml").spec)) == 3 * 3 * 2


def test_the_workload_shown_is_read(tmp_path: Path) -> None:
    (tmp_path / "workload.yaml").write_text(blocks("yaml")[1])
    random = np.random.default_rng(0)
    shapes = {"conv1.weight": (3, 3, 1, 4), "conv1.bias": (4,), "out.weight": (64, 10), "out.bias": (10,)}
    samples = {"calibration_inputs": (5, 8, 8, 1), "test_inputs": (7, 8, 8, 1)}
    arrays = {name: random.normal(size=shape) for name, shape in (shapes | samples).items()}
    np.savez(tmp_path / "my_net.npz", **arrays, test_labels=np.arange(7))
    assert read_workload(tmp_path).network.output == "out"


def test_the_python_shown_runs() -> None:
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)  # noqa: S102 (the README's own code)
    gemm = names["gemm"]
    assert gemm.output.tolist() == [[19, 22], [43, 50]]  # type: ignore[attr-defined]
    assert (gemm.total_cycles, gemm.mac_cycles) == (6, 4)  # type: ignore[attr-defined]
    assert names["result"].accuracy > 0.98  # type: ignore[attr-defined]
