import os
from collections.abc import Callable, Collection, Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from scoring.errors import BadInput, LandingNotReady
from scoring.landing.discovery import BatchFiles, discover

BATCH_DATE = date(2026, 11, 21)
EARLIER = date(2026, 11, 20)

WriteBatch = Callable[..., Path]


def find(
    landing: Path | str,
    *,
    lookback_days: int = 7,
    with_datasets: bool = True,
    late_folders: Collection[date] | None = None,
) -> BatchFiles:
    return discover(
        str(landing),
        BATCH_DATE,
        lookback_days=lookback_days,
        success_marker="_SUCCESS",
        with_datasets=with_datasets,
        late_folders=late_folders,
    )


def test_discover_lists_files_in_a_stable_order(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(
        BATCH_DATE,
        {"joints/b.jpg": b"2", "joints/a.jpg": b"1", "disease_activity.csv": b"d", "consultations.parquet": b"c"},
    )
    files = find(landing)
    assert [file.source_file for file in files.datasets] == [
        "2026-11-21/consultations.parquet",
        "2026-11-21/disease_activity.csv",
    ]
    assert [file.source_file for file in files.images] == ["2026-11-21/joints/a.jpg", "2026-11-21/joints/b.jpg"]
    assert [file.dataset for file in files.datasets] == ["consultations", "disease_activity"]
    assert files.images[0].size_bytes == 1


def test_discover_reports_a_missing_folder(landing: Path) -> None:
    with pytest.raises(LandingNotReady, match=r"2026-11-21 does not exist"):
        find(landing)


def test_discover_reports_an_open_folder_with_the_remedy(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {"joints/a.jpg": b"1"}, closed=False)
    with pytest.raises(LandingNotReady, match=r"2026-11-21 has no _SUCCESS.*create an empty file _SUCCESS"):
        find(landing)


def test_discover_accepts_an_empty_folder(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {})
    files = find(landing)
    assert (files.datasets, files.images) == ([], [])


def test_discover_looks_back_to_closed_folders_oldest_first(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {"joints/new.jpg": b""})
    write_batch(EARLIER, {"joints/late.jpg": b""})
    write_batch(date(2026, 11, 19), {"joints/open.jpg": b""}, closed=False)
    write_batch(date(2026, 11, 14), {"joints/oldest.jpg": b"", "consultations.csv": b""})
    write_batch(date(2026, 11, 13), {"joints/before_window.jpg": b""})
    write_batch(date(2026, 11, 22), {"joints/next_day.jpg": b""})
    files = find(landing)
    assert [file.name for file in files.images] == ["oldest.jpg", "late.jpg", "new.jpg"]
    assert [file.batch_date.day for file in files.images] == [14, 20, 21]
    assert [file.source_file for file in files.datasets] == ["2026-11-14/consultations.csv"]
    assert [file.name for file in find(landing, lookback_days=0).images] == ["new.jpg"]
    assert files.unusable == {}


def test_discover_looks_back_only_to_late_folders(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {"joints/new.jpg": b""})
    write_batch(EARLIER, {"joints/not_run_yet.jpg": b"", "consultations.csv": b"", "consultations.parquet": b""})
    write_batch(date(2026, 11, 19), {"joints/late.jpg": b""})
    write_batch(date(2026, 11, 13), {"joints/before_window.jpg": b""})
    files = find(landing, late_folders={date(2026, 11, 19), date(2026, 11, 13)})
    assert [file.name for file in files.images] == ["late.jpg", "new.jpg"]
    assert files.unusable == {}
    assert [file.name for file in find(landing, late_folders=()).images] == ["new.jpg"]


def test_discover_rejects_two_files_of_a_table(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {"consultations.csv": b"", "consultations.parquet": b""})
    with pytest.raises(BadInput, match=r"consultations\.csv and .*consultations\.parquet contain the same table"):
        find(landing)


def test_discover_reports_two_files_of_a_table_in_an_earlier_folder_as_unusable(
    landing: Path, write_batch: WriteBatch
) -> None:
    twice = {"consultations.csv": b"", "consultations.parquet": b""}
    write_batch(EARLIER, {**twice, "disease_activity.csv": b"", "joints/late.jpg": b""})
    write_batch(BATCH_DATE, {"consultations.csv": b""})
    files = find(landing)
    assert [file.source_file for file in files.datasets] == [
        "2026-11-20/disease_activity.csv",
        "2026-11-21/consultations.csv",
    ]
    assert [file.name for file in files.images] == ["late.jpg"]
    assert set(files.unusable) == {f"2026-11-20/{name}" for name in twice}
    assert "Keep only one" in files.unusable["2026-11-20/consultations.csv"]


def test_discover_ignores_table_files_if_the_registry_is_a_database(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {"consultations.csv": b"", "consultations.parquet": b"", "joints/a.jpg": b""})
    files = find(landing, with_datasets=False)
    assert files.datasets == []
    assert len(files.images) == 1


def test_discover_lists_but_rejects_links_and_pipes(landing: Path, write_batch: WriteBatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    joints = write_batch(BATCH_DATE, {"joints/real.jpg": b"1"}) / "joints"
    (joints / "inside.jpg").symlink_to("real.jpg")
    (joints / "leaves.jpg").symlink_to(tmp_path / "secret")
    (joints / "nowhere.jpg").symlink_to("missing.jpg")
    os.mkfifo(joints / "pipe.jpg")
    (joints / "folder.jpg").mkdir()
    rejections = {file.name: file.rejection for file in find(landing).images}
    assert set(rejections) == {"real.jpg", "inside.jpg", "leaves.jpg", "nowhere.jpg", "pipe.jpg"}
    assert rejections["real.jpg"] is None
    assert rejections["inside.jpg"] is None
    assert "out of the landing folder" in str(rejections["leaves.jpg"])
    assert "broken symbolic link" in str(rejections["nowhere.jpg"])
    assert "not a regular file" in str(rejections["pipe.jpg"])


@pytest.mark.parametrize("linked", ["2026-11-21", "2026-11-21/joints"])
def test_discover_rejects_a_folder_that_is_a_link_out_of_the_landing_folder(
    landing: Path, write_batch: WriteBatch, tmp_path: Path, linked: str
) -> None:
    write_batch(BATCH_DATE, {"joints/a.jpg": b"1"})
    (landing / linked).rename(tmp_path / "elsewhere")
    (landing / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="a symbolic link out of the landing folder"):
        find(landing)


@pytest.mark.parametrize(("linked", "remaining"), [("2026-11-20", []), ("2026-11-20/joints", ["consultations.csv"])])
def test_discover_reports_an_earlier_folder_that_is_a_link_out_of_the_landing_folder_as_unusable(
    landing: Path, write_batch: WriteBatch, tmp_path: Path, linked: str, remaining: list[str]
) -> None:
    write_batch(EARLIER, {"joints/a.jpg": b"1", "consultations.csv": b""})
    (landing / linked).rename(tmp_path / "elsewhere")
    (landing / linked).symlink_to(tmp_path / "elsewhere")
    write_batch(BATCH_DATE, {"joints/b.jpg": b"1"})
    files = find(landing)
    assert [file.name for file in files.images] == ["b.jpg"]
    assert [file.name for file in files.datasets] == remaining
    assert list(files.unusable) == [linked]
    assert "out of the landing folder" in files.unusable[linked]


def test_discover_rejects_an_unreadable_folder_only_in_its_own_batch(
    landing: Path, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_batch(EARLIER, {"joints/a.jpg": b"1"})
    write_batch(BATCH_DATE, {"joints/b.jpg": b"1"})
    local = type(fsspec.filesystem("file"))
    original_ls = local.ls
    unreadable: list[str] = ["2026-11-20"]

    def ls(self: object, path: str, **options: object) -> list[dict[str, object]]:
        if path.endswith(tuple(unreadable)):
            raise PermissionError(path)
        listed: list[dict[str, object]] = original_ls(self, path, **options)
        return listed

    monkeypatch.setattr(local, "ls", ls)
    files = find(landing)
    assert [file.name for file in files.images] == ["b.jpg"]
    assert "is not readable" in files.unusable["2026-11-20"]
    unreadable.append("2026-11-21")
    with pytest.raises(BadInput, match=r"2026-11-21 is not readable"):
        find(landing)


def test_discover_accepts_a_landing_folder_that_is_a_link(
    landing: Path, write_batch: WriteBatch, tmp_path: Path
) -> None:
    write_batch(BATCH_DATE, {"joints/a.jpg": b"1"})
    (tmp_path / "link").symlink_to(landing)
    assert [file.rejection for file in find(tmp_path / "link").images] == [None]


def test_discover_finds_tables_by_their_exact_names(
    landing: Path, write_batch: WriteBatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_batch(BATCH_DATE, {"Consultations.CSV": b"", "consultations.bak.csv": b"", "consultations.xlsx": b""})
    assert [file.name for file in find(landing).datasets] == ["Consultations.CSV"]
    assert "dataset_absent folder=2026-11-21 dataset=disease_activity" in caplog.text


def test_discover_lists_a_name_that_is_not_utf8(landing: Path, write_batch: WriteBatch) -> None:
    joints = write_batch(BATCH_DATE, {"joints/a.jpg": b"1"}) / "joints"
    with open(os.fsencode(joints) + b"/r\xf6ntgen.jpg", "wb") as file:
        file.write(b"2")
    latin = find(landing).images[-1]
    assert latin.source_file == r"2026-11-21/joints/r\udcf6ntgen.jpg"
    assert os.path.exists(latin.path)


@pytest.fixture
def memory_landing() -> Iterator[str]:
    root = f"/{uuid4().hex}"
    memory = fsspec.filesystem("memory")
    memory.pipe(f"{root}/2026-11-21/joints/1.2_hand_left_1.jpg", b"123")
    memory.pipe(f"{root}/2026-11-21/joints/../../escaped.jpg", b"1")
    memory.pipe(f"{root}/2026-11-21/_SUCCESS", b"")
    yield f"memory:/{root}"
    memory.rm(root, recursive=True)


def test_discover_reads_any_file_system(memory_landing: str) -> None:
    files = find(memory_landing)
    assert [file.source_file for file in files.images] == ["2026-11-21/joints/1.2_hand_left_1.jpg"]
    assert files.images[0].size_bytes == 3


def test_discover_does_not_use_a_cached_listing(memory_landing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Object stores cache listings, but a retry in the same process must see a marker written in between."""
    memory = fsspec.filesystem("memory")
    cached: dict[str, list[dict[str, object]]] = {}
    original_ls = type(memory).ls

    def ls(self: object, path: str, **options: object) -> list[dict[str, object]]:
        if path not in cached:
            cached[path] = original_ls(self, path, **options)
        return cached[path]

    monkeypatch.setattr(type(memory), "ls", ls)
    monkeypatch.setattr(type(memory), "invalidate_cache", lambda _self, path=None: cached.pop(path, None))
    marker = f"{memory_landing}/2026-11-21/_SUCCESS"
    memory.rm(marker)
    with pytest.raises(LandingNotReady):
        find(memory_landing)
    memory.pipe(marker, b"")
    assert len(find(memory_landing).images) == 1
