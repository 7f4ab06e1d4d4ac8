import os
from collections.abc import Callable, Collection, Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from scoring.errors import BadInput, LandingNotReady
from scoring.landing.discovery import BatchFiles, discover

NIGHT = date(2026, 11, 21)
YESTERDAY = date(2026, 11, 20)

WriteNight = Callable[..., Path]


def find(
    landing: Path | str,
    *,
    lookback_days: int = 7,
    with_datasets: bool = True,
    late_folders: Collection[date] | None = None,
) -> BatchFiles:
    return discover(
        str(landing),
        NIGHT,
        lookback_days=lookback_days,
        success_marker="_SUCCESS",
        with_datasets=with_datasets,
        late_folders=late_folders,
    )


def test_the_nights_files_in_a_stable_order(landing: Path, write_night: WriteNight) -> None:
    write_night(
        NIGHT,
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


def test_a_missing_night_is_named(landing: Path) -> None:
    with pytest.raises(LandingNotReady, match=r"2026-11-21 does not exist"):
        find(landing)


def test_an_open_night_is_named_with_what_to_do(landing: Path, write_night: WriteNight) -> None:
    write_night(NIGHT, {"joints/a.jpg": b"1"}, closed=False)
    with pytest.raises(LandingNotReady, match=r"2026-11-21 has no _SUCCESS.*create an empty file _SUCCESS"):
        find(landing)


def test_an_empty_night_is_a_night(landing: Path, write_night: WriteNight) -> None:
    write_night(NIGHT, {})
    files = find(landing)
    assert (files.datasets, files.images) == ((), ())


def test_look_back_takes_closed_folders_oldest_first(landing: Path, write_night: WriteNight) -> None:
    write_night(NIGHT, {"joints/new.jpg": b""})
    write_night(YESTERDAY, {"joints/late.jpg": b""})
    write_night(date(2026, 11, 19), {"joints/open.jpg": b""}, closed=False)
    write_night(date(2026, 11, 14), {"joints/oldest.jpg": b"", "consultations.csv": b""})
    write_night(date(2026, 11, 13), {"joints/before_the_window.jpg": b""})
    write_night(date(2026, 11, 22), {"joints/tomorrow.jpg": b""})
    files = find(landing)
    assert [file.name for file in files.images] == ["oldest.jpg", "late.jpg", "new.jpg"]
    assert [file.batch_date.day for file in files.images] == [14, 20, 21]
    assert [file.source_file for file in files.datasets] == ["2026-11-14/consultations.csv"]
    assert [file.name for file in find(landing, lookback_days=0).images] == ["new.jpg"]
    assert files.unusable == {}


def test_only_folders_of_nights_that_have_run_may_be_late(landing: Path, write_night: WriteNight) -> None:
    write_night(NIGHT, {"joints/new.jpg": b""})
    write_night(YESTERDAY, {"joints/not_run_yet.jpg": b"", "consultations.csv": b"", "consultations.parquet": b""})
    write_night(date(2026, 11, 19), {"joints/late.jpg": b""})
    write_night(date(2026, 11, 13), {"joints/before_the_window.jpg": b""})
    files = find(landing, late_folders={date(2026, 11, 19), date(2026, 11, 13)})
    assert [file.name for file in files.images] == ["late.jpg", "new.jpg"]
    assert files.unusable == {}
    assert [file.name for file in find(landing, late_folders=()).images] == ["new.jpg"]


def test_the_same_dataset_twice_is_refused(landing: Path, write_night: WriteNight) -> None:
    write_night(NIGHT, {"consultations.csv": b"", "consultations.parquet": b""})
    with pytest.raises(BadInput, match=r"consultations\.csv and .*consultations\.parquet are the same dataset"):
        find(landing)


def test_the_same_dataset_twice_in_an_earlier_folder_is_left_out(landing: Path, write_night: WriteNight) -> None:
    twice = {"consultations.csv": b"", "consultations.parquet": b""}
    write_night(YESTERDAY, {**twice, "disease_activity.csv": b"", "joints/late.jpg": b""})
    write_night(NIGHT, {"consultations.csv": b""})
    files = find(landing)
    assert [file.source_file for file in files.datasets] == [
        "2026-11-20/disease_activity.csv",
        "2026-11-21/consultations.csv",
    ]
    assert [file.name for file in files.images] == ["late.jpg"]
    assert set(files.unusable) == {f"2026-11-20/{name}" for name in twice}
    assert "Remove all but one" in files.unusable["2026-11-20/consultations.csv"]


def test_table_files_are_left_alone_if_the_registry_is_a_database(landing: Path, write_night: WriteNight) -> None:
    write_night(NIGHT, {"consultations.csv": b"", "consultations.parquet": b"", "joints/a.jpg": b""})
    files = find(landing, with_datasets=False)
    assert files.datasets == ()
    assert len(files.images) == 1


def test_links_and_pipes_are_listed_but_refused(landing: Path, write_night: WriteNight, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    joints = write_night(NIGHT, {"joints/real.jpg": b"1"}) / "joints"
    (joints / "inside.jpg").symlink_to("real.jpg")
    (joints / "leaves.jpg").symlink_to(tmp_path / "secret")
    (joints / "nowhere.jpg").symlink_to("missing.jpg")
    os.mkfifo(joints / "pipe.jpg")
    (joints / "folder.jpg").mkdir()
    refused = {file.name: file.refused for file in find(landing).images}
    assert set(refused) == {"real.jpg", "inside.jpg", "leaves.jpg", "nowhere.jpg", "pipe.jpg"}
    assert refused["real.jpg"] is None
    assert refused["inside.jpg"] is None
    assert "leaves the landing folder" in str(refused["leaves.jpg"])
    assert "link to nothing" in str(refused["nowhere.jpg"])
    assert "not a regular file" in str(refused["pipe.jpg"])


@pytest.mark.parametrize("linked", ["2026-11-21", "2026-11-21/joints"])
def test_a_folder_may_not_be_a_link_out_of_the_landing_folder(
    landing: Path, write_night: WriteNight, tmp_path: Path, linked: str
) -> None:
    write_night(NIGHT, {"joints/a.jpg": b"1"})
    (landing / linked).rename(tmp_path / "elsewhere")
    (landing / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="a symbolic link that leaves the landing folder"):
        find(landing)


@pytest.mark.parametrize(("linked", "left"), [("2026-11-20", []), ("2026-11-20/joints", ["consultations.csv"])])
def test_an_earlier_folder_that_is_a_link_out_of_the_landing_folder_is_left_out(
    landing: Path, write_night: WriteNight, tmp_path: Path, linked: str, left: list[str]
) -> None:
    write_night(YESTERDAY, {"joints/a.jpg": b"1", "consultations.csv": b""})
    (landing / linked).rename(tmp_path / "elsewhere")
    (landing / linked).symlink_to(tmp_path / "elsewhere")
    write_night(NIGHT, {"joints/b.jpg": b"1"})
    files = find(landing)
    assert [file.name for file in files.images] == ["b.jpg"]
    assert [file.name for file in files.datasets] == left
    assert list(files.unusable) == [linked]
    assert "leaves the landing folder" in files.unusable[linked]


def test_a_folder_that_may_not_be_read_stops_its_own_night_only(
    landing: Path, write_night: WriteNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_night(YESTERDAY, {"joints/a.jpg": b"1"})
    write_night(NIGHT, {"joints/b.jpg": b"1"})
    local = type(fsspec.filesystem("file"))
    look = local.ls
    closed: list[str] = ["2026-11-20"]

    def ls(self: object, path: str, **options: object) -> list[dict[str, object]]:
        if path.endswith(tuple(closed)):
            raise PermissionError(path)
        listed: list[dict[str, object]] = look(self, path, **options)
        return listed

    monkeypatch.setattr(local, "ls", ls)
    files = find(landing)
    assert [file.name for file in files.images] == ["b.jpg"]
    assert "may not be read" in files.unusable["2026-11-20"]
    closed.append("2026-11-21")
    with pytest.raises(BadInput, match=r"2026-11-21 may not be read"):
        find(landing)


def test_the_landing_folder_itself_may_be_a_link(landing: Path, write_night: WriteNight, tmp_path: Path) -> None:
    write_night(NIGHT, {"joints/a.jpg": b"1"})
    (tmp_path / "link").symlink_to(landing)
    assert [file.refused for file in find(tmp_path / "link").images] == [None]


def test_only_the_datasets_own_names_count(
    landing: Path, write_night: WriteNight, caplog: pytest.LogCaptureFixture
) -> None:
    write_night(NIGHT, {"Consultations.CSV": b"", "consultations.bak.csv": b"", "consultations.xlsx": b""})
    assert [file.name for file in find(landing).datasets] == ["Consultations.CSV"]
    assert "dataset absent folder=2026-11-21 dataset=disease_activity" in caplog.text


def test_a_name_that_is_no_utf8_is_still_listed(landing: Path, write_night: WriteNight) -> None:
    joints = write_night(NIGHT, {"joints/a.jpg": b"1"}) / "joints"
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


def test_any_file_system(memory_landing: str) -> None:
    files = find(memory_landing)
    assert [file.source_file for file in files.images] == ["2026-11-21/joints/1.2_hand_left_1.jpg"]
    assert files.images[0].size_bytes == 3


def test_a_listing_is_never_an_old_one(memory_landing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Object stores remember listings: a retry in the same process must still see the marker that has come since."""
    memory = fsspec.filesystem("memory")
    remembered: dict[str, list[dict[str, object]]] = {}
    look = type(memory).ls

    def ls(self: object, path: str, **options: object) -> list[dict[str, object]]:
        if path not in remembered:
            remembered[path] = look(self, path, **options)
        return remembered[path]

    monkeypatch.setattr(type(memory), "ls", ls)
    monkeypatch.setattr(type(memory), "invalidate_cache", lambda _self, path=None: remembered.pop(path, None))
    marker = f"{memory_landing}/2026-11-21/_SUCCESS"
    memory.rm(marker)
    with pytest.raises(LandingNotReady):
        find(memory_landing)
    memory.pipe(marker, b"")
    assert len(find(memory_landing).images) == 1
