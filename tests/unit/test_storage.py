from pathlib import Path
from uuid import uuid4

import pytest
from upath import UPath

from scoring.storage import atomic_write


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    return UPath(tmp_path / "new") if request.param == "local" else UPath(f"memory://{uuid4().hex}/new")


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_atomic_write_creates_the_file_when_the_block_ends(folder):
    path = folder / "table.csv"
    with atomic_write(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(folder) == ["table.csv"]


def test_atomic_write_replaces_an_existing_file(folder):
    path = folder / "table.csv"
    for content in (b"longer than the second", b"second"):
        with atomic_write(path) as file:
            file.write(content)
    assert path.read_bytes() == b"second"
    assert names(folder) == ["table.csv"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_atomic_write_leaves_nothing_after_an_error(folder, error):
    def fail():
        with atomic_write(folder / "table.csv") as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert names(folder) == []


def test_atomic_write_keeps_the_existing_file_after_an_error(folder):
    path = folder / "table.csv"
    with atomic_write(path) as file:
        file.write(b"first")
    with pytest.raises(OSError, match="disk full"), atomic_write(path):
        raise OSError("disk full")
    assert path.read_bytes() == b"first"
    assert names(folder) == ["table.csv"]


def test_atomic_write_accepts_a_path_of_the_standard_library(tmp_path):
    with atomic_write(Path(tmp_path) / "a" / "b.txt") as file:
        file.write(b"text")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"text"
