import os
import signal
import subprocess
import sys

import pytest
from upath import UPath

from scoring.errors import InvalidRequest, StorageUnavailable
from scoring.export.folder import MANIFEST, export_folder, read_manifest, write_manifest


def write(url, text="complete", *, overwrite=False):
    with export_folder(str(url), overwrite=overwrite) as folder:
        (folder / "view").mkdir()
        (folder / "view" / "part.parquet").write_text(text)
        write_manifest(folder, {"rows": 1})


@pytest.fixture(params=["file", "memory"])
def parent(request, tmp_path):
    if request.param == "file":
        yield UPath(tmp_path)
        return
    root = UPath("memory://exports")
    yield root
    root.fs.rm("/", recursive=True)


def test_export_folder_appears_with_its_manifest(parent):
    write(parent / "a" / "out")
    assert (parent / "a" / "out" / "view" / "part.parquet").read_text() == "complete"
    assert read_manifest(parent / "a" / "out") == {"made_by": "scoring export", "rows": 1}
    assert [path.name for path in (parent / "a").iterdir()] == ["out"]


def test_export_folder_leaves_nothing_after_an_error(parent):
    with pytest.raises(ZeroDivisionError), export_folder(str(parent / "out"), overwrite=False) as folder:
        (folder / "part.parquet").write_text(f"{1 / 0}")
    assert not parent.exists() or list(parent.iterdir()) == []


def test_export_folder_replaces_an_export_only_on_request(parent):
    write(parent / "out", "old")
    with pytest.raises(InvalidRequest, match="Use --overwrite to replace it"):
        write(parent / "out", "new")
    assert (parent / "out" / "view" / "part.parquet").read_text() == "old"
    write(parent / "out", "new", overwrite=True)
    assert (parent / "out" / "view" / "part.parquet").read_text() == "new"
    assert [path.name for path in parent.iterdir()] == ["out"]


def test_export_folder_keeps_the_previous_export_if_the_replacement_fails(parent):
    write(parent / "out", "old")
    with pytest.raises(KeyError), export_folder(str(parent / "out"), overwrite=True):
        raise KeyError
    assert (parent / "out" / "view" / "part.parquet").read_text() == "old"


@pytest.mark.parametrize("manifest", [None, "{}", "no json", '{"made_by": "another tool"}'])
def test_export_folder_never_replaces_other_content(tmp_path, manifest):
    (tmp_path / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(InvalidRequest, match="is not an export"):
        write(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_export_folder_accepts_an_empty_folder(tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out")
    assert read_manifest(UPath(tmp_path / "out"))


def test_export_folder_reports_a_failed_storage(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="could not be written"):
        write(tmp_path / "file" / "out")


def test_export_folder_leaves_no_manifest_after_a_kill(tmp_path):
    code = (
        "import os, signal, sys; from scoring.export.folder import export_folder\n"
        "with export_folder(sys.argv[1], overwrite=False) as folder:\n"
        "    (folder / 'part.parquet').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "out"], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    assert left.name.endswith(".unfinished")
    assert read_manifest(UPath(left)) is None
    write(tmp_path / "out")
