from pathlib import Path

import pytest
from upath import UPath

from scoring.report.html import write_document


@pytest.mark.parametrize("storage", ["local", "memory"])
def test_write_document_replaces_the_old_file_and_leaves_no_other(tmp_path: Path, storage: str) -> None:
    folder = UPath(tmp_path / "2026") if storage == "local" else UPath("memory://reports/2026")
    for text in ("<p>ä</p>", "<p>ö</p>"):
        write_document(text, str(folder / "nightly.html"))
    assert (folder / "nightly.html").read_text(encoding="utf-8") == "<p>ö</p>"
    assert [path.name for path in folder.iterdir()] == ["nightly.html"]


def test_write_document_keeps_the_old_file_if_the_write_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "nightly.html"
    write_document("<p>old</p>", str(target))

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(UPath(tmp_path)), "rename", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_document("<p>new</p>", str(target))
    assert target.read_text(encoding="utf-8") == "<p>old</p>"
    assert list(tmp_path.iterdir()) == [target]
