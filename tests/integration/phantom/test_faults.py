import csv
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import simplejpeg
from upath import UPath

from scoring.errors import BadInput, InvalidRequest, LandingNotReady
from scoring.imaging.decode import UndecodableImage, decode_grey
from scoring.phantom.batch_folder import Batch
from scoring.phantom.batches import write_batches
from scoring.phantom.faults import FAULTS, FaultEffect, check_fault_names, damage_batch

DATE = date(2026, 11, 21)
Damage = Callable[..., tuple[Path, tuple[FaultEffect, ...]]]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("clean")
    write_batches(str(landing), seed=2, first_batch=DATE, n_patients=12, batches=1, years=2.0)
    return landing / DATE.isoformat()


@pytest.fixture
def damage(clean: Path, tmp_path: Path) -> Damage:
    def do(*names: str) -> tuple[Path, tuple[FaultEffect, ...]]:
        folder = tmp_path / DATE.isoformat()
        shutil.copytree(clean, folder)
        return folder, damage_batch(Batch(UPath(folder), DATE, seed=2), names)

    return do


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _undecodable(folder: Path) -> int:
    bad = 0
    for path in (folder / "joints").iterdir():
        try:
            decode_grey(path.read_bytes())
        except UndecodableImage:
            bad += 1
    return bad


@pytest.mark.parametrize(
    "name", ["zero_byte", "truncated", "bit_flipped", "sixteen_bit", "cmyk", "bomb", "not_an_image"]
)
def test_damage_batch_makes_one_image_undecodable(name: str, damage: Damage, clean: Path) -> None:
    folder, (effect,) = damage(name)
    assert _undecodable(folder) == effect.quarantined["images"] == 1
    assert {path.name for path in (folder / "joints").iterdir()} == {path.name for path in (clean / "joints").iterdir()}


def test_damage_batch_with_bomb_claims_900_megapixels(damage: Damage) -> None:
    folder, _ = damage("bomb")
    sides = {simplejpeg.decode_jpeg_header(path.read_bytes())[:2] for path in (folder / "joints").iterdir()}
    assert (30_000, 30_000) in sides


@pytest.mark.parametrize(
    ("name", "text"), [("percent_120", "120"), ("percent_negative", "-5"), ("percent_text", "n/a")]
)
def test_damage_batch_makes_one_reading_invalid(name: str, text: str, damage: Damage) -> None:
    folder, (effect,) = damage(name)
    cells = [row[f"hand_left_{n}"] for row in _rows(folder / "consultations.csv") for n in range(1, 11)]
    assert cells.count(text) == effect.quarantined["readings"] == 1


@pytest.mark.parametrize("name", ["date_in_future", "date_y_before_date_x", "day_first_dates"])
def test_damage_batch_makes_the_dates_of_one_consultation_invalid(name: str, damage: Damage, clean: Path) -> None:
    folder, (effect,) = damage(name)
    pairs = zip(_rows(folder / "consultations.csv"), _rows(clean / "consultations.csv"), strict=True)
    changed = [(bad, good) for bad, good in pairs if bad != good]
    assert len(changed) == effect.quarantined["consultations"] == 1
    assert {column for column, text in changed[0][0].items() if text != changed[0][1][column]} <= {"date_x", "date_y"}


def test_damage_batch_repeats_consultations(damage: Damage) -> None:
    folder, effects = damage("duplicate_id_x", "row_twice")
    rows = _rows(folder / "consultations.csv")
    ids = [row["id_x"] for row in rows]
    repeated = [[row for row in rows if row["id_x"] == id_x] for id_x in {x for x in ids if ids.count(x) == 2}]
    assert sorted(first == second for first, second in repeated) == [False, True]
    assert [effect.quarantined["consultations"] for effect in effects] == [2, 1]


def test_damage_batch_writes_two_images_for_one_joint(damage: Damage) -> None:
    folder, _ = damage("two_images_for_one_joint")
    (second,) = (folder / "joints").glob("*.jpeg")
    first = second.with_suffix(".jpg")
    assert decode_grey(first.read_bytes()).shape == decode_grey(second.read_bytes()).shape
    assert first.read_bytes() != second.read_bytes()


def test_damage_batch_separates_images_and_consultations(damage: Damage) -> None:
    folder, _ = damage("image_without_record", "record_without_images")
    radiographs = {row["sop_iuid"] for row in _rows(folder / "consultations.csv")}
    pictured = {path.name.split("_")[0] for path in (folder / "joints").iterdir()}
    assert len(pictured - radiographs) == 1
    assert len(radiographs - pictured) == 1


def test_damage_batch_with_escaping_name_stays_in_the_folder(damage: Damage, tmp_path: Path) -> None:
    folder, _ = damage("escaping_name")
    assert (folder / "joints" / "..%2F..%2Fevil_hand_left_1.jpg").exists()
    assert _rows(folder / "consultations.csv")[-1]["sop_iuid"] == "../../x"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_damage_batch_writes_a_zero_padded_patient(damage: Damage) -> None:
    folder, (effect,) = damage("zero_padded_patient")
    assert "00123" in {row["patient_id"] for row in _rows(folder / "consultations.csv")}
    assert effect.quarantined == {}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing_column", BadInput),
        ("no_header", BadInput),
        ("empty_file", BadInput),
        ("no_success", LandingNotReady),
    ],
)
def test_damage_batch_expects_an_error_if_the_batch_must_stop(
    name: str, error: type[Exception], damage: Damage
) -> None:
    _, (effect,) = damage(name)
    assert effect.error is error


def test_damage_batch_removes_a_column(damage: Damage) -> None:
    folder, _ = damage("missing_column")
    assert "patient_id" not in _rows(folder / "consultations.csv")[0]


def test_damage_batch_empties_a_file_and_removes_the_marker(damage: Damage) -> None:
    folder, _ = damage("empty_file", "no_success")
    assert (folder / "consultations.csv").stat().st_size == 0
    assert not (folder / "_SUCCESS").exists()


def test_damage_batch_keeps_only_headers_in_an_empty_batch(damage: Damage) -> None:
    folder, _ = damage("empty_batch")
    assert (folder / "consultations.csv").read_text().startswith("id_x,patient_id,")
    assert not list((folder / "joints").iterdir())


def test_damage_batch_without_header_keeps_every_row(damage: Damage, clean: Path) -> None:
    folder, _ = damage("no_header")
    header, rows = (clean / "consultations.csv").read_bytes().split(b"\n", 1)
    assert header.startswith(b"id_x,patient_id,")
    assert (folder / "consultations.csv").read_bytes() == rows


def test_damage_batch_with_dialects_keeps_every_value(damage: Damage, clean: Path) -> None:
    folder, _ = damage("dialects")
    data = (folder / "consultations.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in data
    rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines(), delimiter=";"))
    plain = _rows(clean / "consultations.csv")
    assert [row["rau_score"].replace(",", ".") for row in rows] == [row["rau_score"] for row in plain]
    assert [row["sop_iuid"] for row in rows] == [row["sop_iuid"] for row in plain]
    activity = (folder / "disease_activity.csv").read_bytes()
    assert "früh".encode("latin-1") in activity


def test_damage_batch_applies_faults_to_different_radiographs(damage: Damage) -> None:
    names = tuple(FAULTS)[: list(FAULTS).index("missing_column")]
    folder, effects = damage(*names)
    assert [effect.name for effect in effects] == list(names)
    assert _undecodable(folder) == 7


def test_faults_have_a_description_with_the_outcome() -> None:
    descriptions = [str(fault.__doc__) for fault in FAULTS.values()]
    assert all(re.fullmatch(r".+: .*\d.*\.|.+: nothing is quarantined.*\.", text) for text in descriptions)
    assert len(set(descriptions)) == len(FAULTS)


def test_check_fault_names_rejects_unknown_names() -> None:
    with pytest.raises(InvalidRequest, match="Unknown fault: typo"):
        check_fault_names(("row_twice", "typo"))


def test_damage_batch_rejects_batches_that_are_too_small(tmp_path: Path) -> None:
    write_batches(str(tmp_path), seed=2, first_batch=DATE, n_patients=1, batches=1, years=0.5)
    batch = Batch(UPath(tmp_path / DATE.isoformat()), DATE, seed=2)
    with pytest.raises(InvalidRequest, match="Use more patients"):
        damage_batch(batch, ("date_in_future", "date_y_before_date_x", "day_first_dates", "row_twice"))
