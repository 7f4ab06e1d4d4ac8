import io
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.contract import column_names


@pytest.fixture(scope="session")
def csv_bytes() -> Callable[..., bytes]:
    """Write a table as CSV, with the required columns and all further columns of the rows."""

    def write(dataset: str, *rows: dict[str, str], delimiter: str = ",", newline: str = "\n") -> bytes:
        header = list(dict.fromkeys([*column_names(dataset, required=True), *(name for row in rows for name in row)]))
        lines = [header, *([row.get(name, "") for name in header] for row in rows)]
        return (newline.join(delimiter.join(line) for line in lines) + newline).encode()

    return write


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    def encode(level: int = 100, side: int = 64) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.full((side, side), level, np.uint8)).save(buffer, "JPEG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def write_batch(landing: Path) -> Callable[..., Path]:
    """Write a batch folder with files by their path in the folder."""

    def write(batch_date: date, files: dict[str, bytes], *, closed: bool = True) -> Path:
        folder = landing / batch_date.isoformat()
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if closed:
            (folder / "_SUCCESS").touch()
        return folder

    return write
