import hashlib
import os
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pandas as pd
import pytest
from upath import UPath

from scoring.errors import BadInput, InvalidRequest
from scoring.landing import staging
from scoring.landing.discovery import discover
from scoring.landing.schema import SCHEMAS, read_parquet
from scoring.landing.staging import ImageKey, StagedBatch, stage_batch
from scoring.settings import IMAGE_PATTERN

BATCH_DATE = date(2026, 11, 21)
EARLIER = date(2026, 11, 20)

CsvBytes = Callable[..., bytes]
Jpeg = Callable[..., bytes]
WriteBatch = Callable[..., Path]


def nothing_accepted(_keys: Sequence[ImageKey]) -> set[ImageKey]:
    return set()


def stage(landing: Path | str, **options: Any) -> StagedBatch:
    files = discover(str(landing), BATCH_DATE, lookback_days=7, success_marker="_SUCCESS")
    options = {"already_accepted": nothing_accepted} | options
    return stage_batch(files, staging_of(landing), image_pattern=IMAGE_PATTERN, **options)


def staging_of(landing: Path | str) -> str:
    return str(landing).rstrip("/") + "-staging/run-1"


def table(landing: Path | str, name: str) -> pd.DataFrame:
    """Read a staged table."""
    return read_parquet(UPath(staging_of(landing)) / f"{name}.parquet")


@pytest.fixture
def two_images(landing: Path, write_batch: WriteBatch, jpeg: Jpeg) -> Path:
    write_batch(BATCH_DATE, {"joints/1.2_hand_left_1.jpg": jpeg(), "joints/1.2_hand_left_2.jpg": jpeg()})
    return landing


def test_stage_batch_writes_tables_and_images(
    landing: Path, write_batch: WriteBatch, csv_bytes: CsvBytes, jpeg: Jpeg
) -> None:
    consultations = csv_bytes("consultations", {"id_x": "c1", "hand_left_1": "5", "sop_iuid": "1.2"}, delimiter=";")
    image = jpeg(level=120, side=80)
    write_batch(
        BATCH_DATE,
        {
            "consultations.csv": consultations,
            "disease_activity.csv": csv_bytes("disease_activity", {"patient_id": "007"}),
            "joints/1.2_hand_left_1.jpg": image,
        },
    )
    progressed: list[tuple[object, ...]] = []
    staged = stage(landing, progress=lambda *step: progressed.append(step))

    assert staged.counts == {"consultations": 1, "readings": 1, "disease_activity": 1, "images": 1}
    assert staged.file_sha256["2026-11-21/consultations.csv"] == hashlib.sha256(consultations).hexdigest()
    assert progressed == [("reading images", 1, 1)]
    for name, schema in SCHEMAS.items():
        assert list(table(landing, name)) == schema.names
    row = table(landing, "images").iloc[0]
    assert row["row_key"] == row["source_file"] == "2026-11-21/joints/1.2_hand_left_1.jpg"
    assert UPath(row["uri"]).read_bytes() == image
    assert row["sha256"] == hashlib.sha256(image).hexdigest()
    assert (row["sop_iuid"], row["joint"]) == ("1.2", "hand_left_1")
    assert (row["decodes"], row["color_space"], row["width"], row["height"]) == (True, "Gray", 80, 80)
    assert row["brightness"] == pytest.approx(120, abs=1)
    assert not row["late"]


def test_stage_batch_of_an_empty_folder_writes_empty_tables(landing: Path, write_batch: WriteBatch) -> None:
    write_batch(BATCH_DATE, {})
    staged = stage(landing)
    assert staged.counts == {"consultations": 0, "readings": 0, "disease_activity": 0, "images": 0}
    assert all(table(landing, name).empty for name in staged.counts)


def test_stage_batch_records_why_an_image_does_not_decode(landing: Path, write_batch: WriteBatch, jpeg: Jpeg) -> None:
    good = jpeg()
    write_batch(
        BATCH_DATE,
        {
            "joints/1.2_hand_left_1.jpg": good,
            "joints/1.2_hand_left_2.jpg": b"",
            "joints/1.2_hand_left_3.jpg": good[:-40],
            "joints/1.2_hand_left_4.jpg": b"\x89PNG\r\n\x1a\n" + bytes(90),
            "joints/..%2F..%2Fpasswd_hand_left_5.jpg": good,
            "joints/Thumbs.db": bytes(90),
        },
    )
    stage(landing)
    images = table(landing, "images").set_index("file_name")
    assert len(images) == 6
    assert images["decodes"].sum() == 2
    assert "empty" in images.loc["1.2_hand_left_2.jpg", "decode_error"]
    assert "truncated" in images.loc["1.2_hand_left_3.jpg", "decode_error"]
    assert "PNG" in images.loc["1.2_hand_left_4.jpg", "decode_error"]
    assert images.loc[["..%2F..%2Fpasswd_hand_left_5.jpg", "Thumbs.db"], ["sop_iuid", "joint"]].isna().all(axis=None)


def test_stage_batch_does_not_open_rejected_files(
    landing: Path, write_batch: WriteBatch, tmp_path: Path, jpeg: Jpeg
) -> None:
    (tmp_path / "outside.jpg").write_bytes(jpeg())
    joints = write_batch(BATCH_DATE, {"joints/1.2_hand_left_1.jpg": jpeg()}) / "joints"
    (joints / "1.2_hand_left_2.jpg").symlink_to(tmp_path / "outside.jpg")
    os.mkfifo(joints / "1.2_hand_left_3.jpg")
    stage(landing)
    images = table(landing, "images").set_index("joint")
    assert images["decodes"].tolist() == [True, False, False]
    assert images["sha256"].isna().tolist() == [False, True, True]
    assert "out of the landing folder" in images.loc["hand_left_2", "decode_error"]


@pytest.mark.parametrize(
    ("error", "reason"), [(FileNotFoundError(), "disappeared"), (PermissionError(), "no permission; allow")]
)
def test_stage_batch_records_why_a_single_image_is_unreadable(
    two_images: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    break_reading(monkeypatch, "1.2_hand_left_1.jpg", error)
    stage(two_images)
    images = table(two_images, "images")
    assert images["decodes"].tolist() == [False, True]
    assert reason in images.loc[0, "decode_error"]


def test_stage_batch_fails_without_a_partial_table_if_the_storage_fails(
    landing: Path, write_batch: WriteBatch, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_batch(BATCH_DATE, {f"joints/1.2_hand_left_{n}.jpg": jpeg() for n in range(1, 5)})
    break_reading(monkeypatch, "1.2_hand_left_3.jpg", ConnectionResetError("storage lost"))
    with pytest.raises(ConnectionResetError):
        stage(landing)
    written = {file.name for file in (landing.parent / "landing-staging" / "run-1").iterdir()}
    assert written == {"consultations.parquet", "readings.parquet", "disease_activity.parquet"}


def test_stage_batch_hashes_a_huge_file_in_pieces(
    landing: Path, write_batch: WriteBatch, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MAX_IMAGE_BYTES", 100)
    image = jpeg()
    write_batch(BATCH_DATE, {"joints/1.2_hand_left_1.jpg": image})
    break_reading(monkeypatch, "1.2_hand_left_1.jpg", AssertionError("was read as a whole"))
    stage(landing)
    row = table(landing, "images").iloc[0]
    assert (row["decodes"], row["size_bytes"]) == (False, len(image))
    assert row["sha256"] == hashlib.sha256(image).hexdigest()
    assert "deliver the crop of a single joint" in row["decode_error"]


def test_stage_batch_writes_every_image_once_across_row_groups(
    landing: Path, write_batch: WriteBatch, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_IMAGES_PER_ROW_GROUP", 4)
    names = [f"1.{n:02}_hand_left_1.jpg" for n in range(11)]
    write_batch(BATCH_DATE, {f"joints/{name}": jpeg(level=10 * n) for n, name in enumerate(names)})
    stage(landing)
    images = table(landing, "images")
    assert images["file_name"].tolist() == names
    assert images["brightness"].tolist() == pytest.approx([10 * n for n in range(11)], abs=1)


class TestLookBack:
    def test_stage_batch_skips_late_images_accepted_from_the_same_place(
        self, landing: Path, write_batch: WriteBatch, jpeg: Jpeg
    ) -> None:
        known, changed, new = jpeg(50), jpeg(60), jpeg(70)
        write_batch(
            EARLIER,
            {
                "joints/1.1_hand_left_1.jpg": known,
                "joints/1.1_hand_left_2.jpg": changed,
                "joints/1.1_hand_left_3.jpg": new,
            },
        )
        write_batch(BATCH_DATE, {"joints/1.2_hand_left_1.jpg": known})
        accepted = {
            ("2026-11-20/joints/1.1_hand_left_1.jpg", hashlib.sha256(known).hexdigest()),
            ("2026-11-20/joints/1.1_hand_left_2.jpg", hashlib.sha256(b"before it was changed").hexdigest()),
            ("2026-11-21/joints/1.2_hand_left_1.jpg", hashlib.sha256(known).hexdigest()),
        }
        asked: list[ImageKey] = []

        def already_accepted(keys: Sequence[ImageKey]) -> set[ImageKey]:
            asked.extend(keys)
            return accepted.intersection(keys)

        staged = stage(landing, already_accepted=already_accepted)
        images = table(landing, "images")
        assert images["source_file"].tolist() == [
            "2026-11-20/joints/1.1_hand_left_2.jpg",
            "2026-11-20/joints/1.1_hand_left_3.jpg",
            "2026-11-21/joints/1.2_hand_left_1.jpg",
        ]
        assert images["late"].tolist() == [True, True, False]
        assert (staged.counts["images"], staged.images_known) == (3, 1)
        assert all(source_file.startswith("2026-11-20") for source_file, _ in asked)

    def test_stage_batch_reads_late_tables_only_if_they_changed(
        self, landing: Path, write_batch: WriteBatch, csv_bytes: CsvBytes
    ) -> None:
        old, current = csv_bytes("consultations", {"id_x": "old"}), csv_bytes("consultations", {"id_x": "new"})
        write_batch(EARLIER, {"consultations.csv": old})
        write_batch(BATCH_DATE, {"consultations.csv": current})
        first = stage(landing)
        assert table(landing, "consultations")["id_x"].tolist() == ["old", "new"]
        assert table(landing, "consultations")["batch_date"].tolist() == [EARLIER, BATCH_DATE]

        stage(landing, seen_files=first.file_sha256)
        assert table(landing, "consultations")["id_x"].tolist() == ["new"]

        write_batch(EARLIER, {"consultations.csv": old + b"\n"})
        assert stage(landing, seen_files=first.file_sha256).counts["consultations"] == 2

    def test_stage_batch_rejects_a_broken_table_only_in_its_own_batch(
        self, landing: Path, write_batch: WriteBatch, csv_bytes: CsvBytes
    ) -> None:
        write_batch(EARLIER, {"consultations.csv": b""})
        write_batch(BATCH_DATE, {"consultations.csv": csv_bytes("consultations", {"id_x": "new"})})
        staged = stage(landing)
        assert staged.counts["consultations"] == 1
        assert "is empty" in staged.unreadable_late_files["2026-11-20/consultations.csv"]

        write_batch(BATCH_DATE, {"consultations.csv": b""})
        with pytest.raises(BadInput, match=r"2026-11-21/consultations\.csv is empty"):
            stage(landing)

    def test_stage_batch_returns_all_unusable_late_files(
        self, landing: Path, write_batch: WriteBatch, csv_bytes: CsvBytes
    ) -> None:
        write_batch(date(2026, 11, 19), {"consultations.csv": b"", "consultations.parquet": b""})
        write_batch(EARLIER, {"disease_activity.csv": b""})
        write_batch(BATCH_DATE, {"consultations.csv": csv_bytes("consultations", {"id_x": "new"})})
        staged = stage(landing)
        assert staged.counts["consultations"] == 1
        assert set(staged.unreadable_late_files) == {
            "2026-11-19/consultations.csv",
            "2026-11-19/consultations.parquet",
            "2026-11-20/disease_activity.csv",
        }

    @pytest.mark.parametrize(
        ("error", "reason"), [(FileNotFoundError(), "disappeared"), (PermissionError(), "no permission")]
    )
    def test_stage_batch_rejects_an_unreadable_table_only_in_its_own_batch(
        self, landing: Path, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
    ) -> None:
        measures = b"physician_global_disease_activity,global_patient_estimate_disease_activity"
        write_batch(EARLIER, {"consultations.csv": b"never read"})
        write_batch(
            BATCH_DATE, {"disease_activity.csv": b"patient_id,date,%b,das28bsr_score,das283crp_score" % measures}
        )
        break_reading(monkeypatch, "consultations.csv", error)
        assert reason in stage(landing).unreadable_late_files["2026-11-20/consultations.csv"]
        break_reading(monkeypatch, "disease_activity.csv", error)
        with pytest.raises(BadInput, match=rf"2026-11-21/disease_activity\.csv cannot be read: {reason}"):
            stage(landing)


def test_stage_batch_rejects_a_table_that_is_a_link_out_of_the_landing_folder(
    landing: Path, write_batch: WriteBatch, tmp_path: Path, csv_bytes: CsvBytes
) -> None:
    (tmp_path / "outside.csv").write_bytes(csv_bytes("consultations", {"id_x": "c1"}))
    (write_batch(BATCH_DATE, {}) / "consultations.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(BadInput, match="a symbolic link out of the landing folder"):
        stage(landing)


def test_stage_batch_stages_a_registry_read_by_sql(landing: Path, write_batch: WriteBatch) -> None:
    text = pd.DataFrame({"row_number": [2], "patient_id": ["007"], "date": ["2026-11-20"], "esr": ["12"]})
    measures = ("physician_global_disease_activity", "global_patient_estimate_disease_activity")
    text[[*measures, "das28bsr_score", "das283crp_score"]] = None
    write_batch(BATCH_DATE, {})
    stage(landing, registry={"disease_activity": text.astype({"patient_id": "str"}).astype("str")})
    row = table(landing, "disease_activity").iloc[0]
    assert row["row_key"] == "sql:disease_activity/2026-11-21:2"
    assert (row["batch_date"], row["date"], row["esr"]) == (BATCH_DATE, EARLIER, 12)


def test_stage_batch_reads_and_writes_any_file_system(jpeg: Jpeg, csv_bytes: CsvBytes) -> None:
    root = f"/{uuid4().hex}"
    memory = fsspec.filesystem("memory")
    memory.pipe(f"{root}/2026-11-21/joints/1.2_hand_left_1.jpg", jpeg())
    memory.pipe(f"{root}/2026-11-21/consultations.csv", csv_bytes("consultations", {"id_x": "c1"}))
    memory.pipe(f"{root}/2026-11-21/_SUCCESS", b"")
    staged = stage(f"memory:/{root}")
    images = table(f"memory:/{root}", "images")
    assert images["uri"].tolist() == [f"memory:/{root}/2026-11-21/joints/1.2_hand_left_1.jpg"]
    assert UPath(images.loc[0, "uri"]).read_bytes() == jpeg()
    assert staged.counts["consultations"] == 1
    assert not [path for path in memory.find(f"{root}-staging") if path.endswith(".part")]
    memory.rm(root, recursive=True)
    memory.rm(f"{root}-staging", recursive=True)


def test_stage_batch_reports_a_missing_file_system_of_the_staging_folder(
    landing: Path, write_batch: WriteBatch
) -> None:
    write_batch(BATCH_DATE, {})
    files = discover(str(landing), BATCH_DATE, lookback_days=0, success_marker="_SUCCESS")
    with pytest.raises(InvalidRequest, match=r"SCORING_STAGING_URL is a nowhere:// URL"):
        stage_batch(files, "nowhere://x/run-1", image_pattern=IMAGE_PATTERN, already_accepted=nothing_accepted)


def break_reading(monkeypatch: pytest.MonkeyPatch, file_name: str, error: BaseException) -> None:
    """Make the local file system fail for one file."""
    local = type(fsspec.filesystem("file"))
    original_cat_file = local.cat_file

    def cat_file(self: Any, path: str, *args: Any, **kwargs: Any) -> bytes:
        if path.endswith(file_name):
            raise error
        data: bytes = original_cat_file(self, path, *args, **kwargs)
        return data

    monkeypatch.setattr(local, "cat_file", cat_file)
