"""Files of arrays that are no such thing: one line each, and nothing in them is ever executed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import ConfigError
from hwsim.readers import arrays
from hwsim.readers.arrays import read_npy, read_npz


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        read_npz(path) if path.suffix == ".npz" else read_npy(path)
    return str(refused.value)


class Bomb:
    """Unpickling it would write a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)


def test_arrays_come_back_as_they_were_saved() -> None:
    np.savez("a.npz", x=np.arange(3), y=np.float32([[1.5]]))
    np.save("a.npy", np.arange(4))
    read = read_npz(Path("a.npz"))
    assert {name: data.tolist() for name, data in read.items()} == {"x": [0, 1, 2], "y": [[1.5]]}
    assert read_npy(Path("a.npy")).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "."])
def test_a_file_that_is_not_there(name: str) -> None:
    assert refusal(Path(name)) == f"{name}: no such file"


@pytest.mark.parametrize("kept", [0, 1, 30, 60, 200])
def test_a_truncated_npz(kept: int) -> None:
    np.savez("whole.npz", x=np.arange(100))
    Path("a.npz").write_bytes(Path("whole.npz").read_bytes()[:kept])
    assert refusal(Path("a.npz")) == "a.npz: not a readable .npz file (File is not a zip file)"


def test_no_npz_at_all() -> None:
    Path("a.npz").write_text("schema_version: 1\n", encoding="utf-8")
    assert refusal(Path("a.npz")) == "a.npz: not a readable .npz file (File is not a zip file)"


@pytest.mark.parametrize("content", [b"not an array at all\n", b"\x80\x04\x95\x00", bytes(range(256))])
def test_garbage_in_an_npy(content: bytes) -> None:
    Path("a.npy").write_bytes(content)
    assert refusal(Path("a.npy")) == "a.npy: not a readable .npy file (it does not begin as one)"


def test_a_pickled_object_in_an_npz_is_not_loaded() -> None:
    np.savez("a.npz", x=np.array([Bomb()], dtype=object), allow_pickle=True)
    expected = "a.npz: not a readable .npz file (it holds Python objects; allowed: numbers)"
    assert refusal(Path("a.npz")) == expected
    assert not Path("executed").exists()


def test_a_pickled_object_in_an_npy_is_not_loaded() -> None:
    np.save("a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    assert refusal(Path("a.npy")) == "a.npy: not a readable .npy file (it holds Python objects; allowed: numbers)"
    assert not Path("executed").exists()


def test_a_member_that_is_no_array() -> None:
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("fc.weight", "1 2 3")
    assert refusal(Path("a.npz")) == "a.npz: not a readable .npz file (fc.weight in it is no array)"


def test_a_damaged_member() -> None:
    np.savez("a.npz", x=np.arange(1000))
    content = bytearray(Path("a.npz").read_bytes())
    content[1000] ^= 0xFF
    Path("a.npz").write_bytes(content)
    assert refusal(Path("a.npz")) == "a.npz: not a readable .npz file (Bad CRC-32 for file 'x.npy')"


def test_an_archive_that_would_unpack_to_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed("a.npz", x=np.zeros(10_000))
    monkeypatch.setattr(arrays, "MAX_BYTES", 5_000)
    assert refusal(Path("a.npz")) == "a.npz: unpacks to 80128 bytes; allowed: 5000"


def test_several_arrays_in_place_of_one() -> None:
    np.savez("a.npz", x=np.zeros(1))
    Path("a.npz").rename("a.npy")
    assert refusal(Path("a.npy")) == "a.npy: holds several arrays; allowed: one .npy array"
