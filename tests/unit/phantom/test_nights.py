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

FIRST_NIGHT = date(2026, 11, 19)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    write_batches(str(folder), seed=4, first_batch=FIRST_NIGHT, n_patients=6)
    return folder


def test_nights_have_the_landing_layout(landing: Path) -> None:
    assert sorted(folder.name for folder in landing.iterdir()) == ["2026-11-19", "2026-11-20", "2026-11-21"]
    for night in landing.iterdir():
        assert {path.name for path in night.iterdir()} == {
            "consultations.csv",
            "disease_activity.csv",
            "joints",
            "_SUCCESS",
            "_SYNTHETIC",
        }
        for image in (night / "joints").iterdir():
            assert re.fullmatch(IMAGE_PATTERN, image.name)
            decode_grey(image.read_bytes())
        radiographs, activity = _rows(night / "consultations.csv"), _rows(night / "disease_activity.csv")
        assert len(list((night / "joints").iterdir())) == 10 * len(radiographs)
        assert tuple(radiographs[0]) == CONSULTATION_COLUMNS
        assert tuple(activity[0]) == ACTIVITY_COLUMNS
        for row in radiographs:
            assert row["date_x"] <= (row["date_y"] or row["date_x"]) <= night.name
        assert all(row["date"] <= night.name for row in activity)


def test_every_radiograph_lands_once_and_the_first_night_brings_the_backlog(landing: Path) -> None:
    radiographs = {
        night.name: [row["sop_iuid"] for row in _rows(night / "consultations.csv")] for night in landing.iterdir()
    }
    every = [radiograph for night in radiographs.values() for radiograph in night]
    assert len(every) == len(set(every))
    assert len(radiographs["2026-11-19"]) > len(every) / 2


def test_the_same_seed_writes_the_same_bytes(landing: Path, tmp_path: Path) -> None:
    summaries = write_batches(str(tmp_path), seed=4, first_batch=FIRST_NIGHT, n_patients=6)
    assert _digest(tmp_path) == _digest(landing)
    assert sum(summary.n_images for summary in summaries) == len(list(tmp_path.rglob("*.jpg")))


def test_an_operated_joint_lands_with_an_image_and_without_a_reading(tmp_path: Path) -> None:
    all_operated = replace(LIFELIKE, operated=200.0)
    write_batches(str(tmp_path), seed=4, first_batch=FIRST_NIGHT, n_patients=2, nights=1, difficulty=all_operated)
    night = tmp_path / FIRST_NIGHT.isoformat()
    radiographs = _rows(night / "consultations.csv")
    missing = [
        (radiograph["sop_iuid"], joint)
        for radiograph in radiographs
        for joint in JOINT_COLUMNS
        if not radiograph[joint]
    ]
    assert len(missing) > 0.5 * 10 * len(radiographs)
    for sop_iuid, joint in missing:
        decode_grey((night / "joints" / f"{sop_iuid}_{joint}.jpg").read_bytes())


def test_a_night_that_is_there_is_not_overwritten(landing: Path) -> None:
    with pytest.raises(InvalidRequest, match="2026-11-20"):
        write_batches(str(landing), seed=4, first_batch=date(2026, 11, 20), n_patients=1, nights=1)


@pytest.mark.parametrize(
    "wrong", [{"nights": 0}, {"history_share": 2.0}, {"fault_batch": 3}, {"faults": ("no_such_fault",)}]
)
def test_impossible_nights_are_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        write_batches(str(tmp_path), seed=1, first_batch=FIRST_NIGHT, n_patients=2, **wrong)
    assert not list(tmp_path.iterdir())
