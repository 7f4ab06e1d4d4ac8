import csv
import hashlib
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from scoring.errors import InvalidRequest
from scoring.imaging.decode import decode_grey
from scoring.phantom.batches import write_batches
from scoring.phantom.difficulty import LIFELIKE
from scoring.phantom.registry import ACTIVITY_COLUMNS, CONSULTATION_COLUMNS, JOINT_COLUMNS
from scoring.settings import IMAGE_PATTERN

FIRST_BATCH = date(2026, 11, 19)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _checksums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    write_batches(str(folder), seed=4, first_batch=FIRST_BATCH, n_patients=6)
    return folder


def test_write_batches_follows_the_landing_contract(landing: Path) -> None:
    assert sorted(folder.name for folder in landing.iterdir()) == ["2026-11-19", "2026-11-20", "2026-11-21"]
    for batch in landing.iterdir():
        assert {path.name for path in batch.iterdir()} == {
            "consultations.csv",
            "disease_activity.csv",
            "joints",
            "_SUCCESS",
            "_SYNTHETIC",
        }
        for image in (batch / "joints").iterdir():
            assert re.fullmatch(IMAGE_PATTERN, image.name)
            decode_grey(image.read_bytes())
        radiographs, activity = _rows(batch / "consultations.csv"), _rows(batch / "disease_activity.csv")
        assert len(list((batch / "joints").iterdir())) == 10 * len(radiographs)
        assert tuple(radiographs[0]) == CONSULTATION_COLUMNS
        assert tuple(activity[0]) == ACTIVITY_COLUMNS
        for row in radiographs:
            assert row["date_x"] <= (row["date_y"] or row["date_x"]) <= batch.name
        assert all(row["date"] <= batch.name for row in activity)


def test_write_batches_delivers_every_radiograph_once_and_the_backlog_first(landing: Path) -> None:
    radiographs = {
        batch.name: [row["sop_iuid"] for row in _rows(batch / "consultations.csv")] for batch in landing.iterdir()
    }
    every = [radiograph for batch in radiographs.values() for radiograph in batch]
    assert len(every) == len(set(every))
    assert len(radiographs["2026-11-19"]) > len(every) / 2


def test_write_batches_is_reproducible(landing: Path, tmp_path: Path) -> None:
    summaries = write_batches(str(tmp_path), seed=4, first_batch=FIRST_BATCH, n_patients=6)
    assert _checksums(tmp_path) == _checksums(landing)
    assert sum(summary.n_images for summary in summaries) == len(list(tmp_path.rglob("*.jpg")))


def test_write_batches_gives_operated_joints_an_image_and_no_reading(tmp_path: Path) -> None:
    all_operated = replace(LIFELIKE, operated=200.0)
    write_batches(str(tmp_path), seed=4, first_batch=FIRST_BATCH, n_patients=2, batches=1, difficulty=all_operated)
    batch = tmp_path / FIRST_BATCH.isoformat()
    radiographs = _rows(batch / "consultations.csv")
    missing = [
        (radiograph["sop_iuid"], joint)
        for radiograph in radiographs
        for joint in JOINT_COLUMNS
        if not radiograph[joint]
    ]
    assert len(missing) > 0.5 * 10 * len(radiographs)
    for sop_iuid, joint in missing:
        decode_grey((batch / "joints" / f"{sop_iuid}_{joint}.jpg").read_bytes())


def test_write_batches_rejects_existing_batches(landing: Path) -> None:
    with pytest.raises(InvalidRequest, match="2026-11-20"):
        write_batches(str(landing), seed=4, first_batch=date(2026, 11, 20), n_patients=1, batches=1)


@pytest.mark.parametrize("wrong", [{"batches": 0}, {"faults": ("no_such_fault",)}])
def test_write_batches_rejects_invalid_arguments(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        write_batches(str(tmp_path), seed=1, first_batch=FIRST_BATCH, n_patients=2, **wrong)
    assert not list(tmp_path.iterdir())
