"""The catalogue of faults, from files to verdicts: each costs the rows that it damages, and nothing else.

One batch has all faults that stop no run, so that the suites run once. `tests/acceptance/test_batches.py` runs such a
batch through the whole job, and `test_cli.py` has a run for each exit code.
"""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import pandas as pd
import pytest
from upath import UPath

from scoring.landing import schema
from scoring.landing.discovery import discover
from scoring.landing.staging import stage_batch
from scoring.phantom.batch_folder import CONSULTATIONS, Batch
from scoring.phantom.batches import write_batches
from scoring.phantom.faults import FAULTS, FaultEffect
from scoring.phantom.registry import JOINT_COLUMNS
from scoring.settings import IMAGE_PATTERN, SUCCESS_MARKER, Settings
from scoring.validation.batch import Known, validate_batch

BATCH_DATE, SEED = date(2026, 11, 21), 2
WHOLE_BATCH = ("missing_column", "no_header", "empty_file", "empty_batch", "no_success")
NOTHING_KNOWN = Known(
    pd.DataFrame(columns=["sop_iuid", "patient_id"], dtype="str"),
    pd.DataFrame(columns=["sop_iuid", "joint", "image_sha256"], dtype="str"),
)


class Outcome(NamedTuple):
    """The expected effect of a fault, and the keys of all rows that it may concern."""

    effect: FaultEffect
    concerned: set[str]


def clean_batch(folder, n_patients):
    write_batches(str(folder), seed=SEED, first_batch=BATCH_DATE, batches=1, n_patients=n_patients)
    return Batch(UPath(folder) / BATCH_DATE.isoformat(), BATCH_DATE, SEED)


def staged(batch, folder):
    """Stage a batch, as the step `land` does."""
    files = discover(str(batch.folder.parent), BATCH_DATE, lookback_days=0, success_marker=SUCCESS_MARKER)
    stage_batch(files, str(folder), image_pattern=IMAGE_PATTERN, already_accepted=lambda _: set())
    return {name: schema.read_parquet(UPath(folder) / f"{name}.parquet") for name in schema.SCHEMAS}


def contents(batch):
    """Return the bytes of every image by path, and the consultations."""
    images = {path: path.read_bytes() for path in (batch.folder / "joints").iterdir()}
    return images, batch.consultations()


def concerned(batch, before) -> Iterator[str]:
    """Yield the keys of all rows that a fault may concern, from what it changed."""
    (old_images, old_rows), (images, rows) = before, contents(batch)
    joints = {path.stem for path, data in images.items() if old_images.get(path) != data}
    yield from (_image_key(path) for path in images if path.stem in joints)
    for number, row in enumerate(rows):
        old = old_rows[number] if number < len(old_rows) else dict.fromkeys(row)
        changed = {column for column in row if row[column] != old[column]}
        if changed <= set(JOINT_COLUMNS):
            yield from (f"{_row_key(number)}:{joint}" for joint in changed)
        else:
            # The whole row is different: also those with the same identifier, their readings and their images.
            for same, other in enumerate(rows):
                if other["id_x"] == row["id_x"]:
                    yield _row_key(same)
                    yield from (f"{_row_key(same)}:{joint}" for joint in JOINT_COLUMNS)
                    yield from (_image_key(path) for path in images if path.name.startswith(f"{other['sop_iuid']}_"))


def _image_key(path):
    return f"{BATCH_DATE}/joints/{path.name}"


def _row_key(number):
    return f"{BATCH_DATE}/{CONSULTATIONS}:{number + 2}"


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Every fault that stops no run in one batch, and the excluded rows of its verdict."""
    batch = clean_batch(tmp_path_factory.mktemp("landing"), n_patients=12)
    outcomes = {}
    for name in (name for name in FAULTS if name not in WHOLE_BATCH):
        before = contents(batch)
        effect = FAULTS[name](batch)
        # Only this fault writes another dialect of CSV; it may concern no row.
        outcomes[name] = Outcome(effect, set() if name == "dialects" else set(concerned(batch, before)))
    settings = Settings(_env_file=None, max_bad_share=1)
    tables = staged(batch, tmp_path_factory.mktemp("staging"))
    quarantine = validate_batch(tables, NOTHING_KNOWN, settings, BATCH_DATE).quarantine
    return outcomes, quarantine[~quarantine["kept"].astype(bool)]


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in WHOLE_BATCH])
def test_validate_batch_quarantines_the_rows_of_each_fault(damaged, name):
    outcomes, excluded = damaged
    effect, keys = outcomes[name]
    found = excluded[excluded["row_key"].isin(keys)]
    assert found.groupby("dataset")["row_key"].nunique().to_dict() == effect.quarantined
    assert not effect.rule or effect.rule in set(found["rule"])
    assert found[["reason", "remedy"]].map(bool).all(axis=None)


def test_validate_batch_quarantines_no_row_without_a_fault(damaged):
    outcomes, excluded = damaged
    assert set(excluded["row_key"]) <= set().union(*(outcome.concerned for outcome in outcomes.values()))
    every = [key for outcome in outcomes.values() for key in outcome.concerned]
    assert len(every) == len(set(every)), "no two faults concern the same row"


@pytest.mark.parametrize("name", WHOLE_BATCH)
def test_stage_batch_rejects_or_accepts_the_files_of_each_fault(tmp_path, name):
    batch = clean_batch(tmp_path / "landing", n_patients=1)
    effect = FAULTS[name](batch)
    if effect.error:
        file_name = "_SUCCESS" if name == "no_success" else CONSULTATIONS
        with pytest.raises(effect.error, match=file_name):
            staged(batch, tmp_path / "staging")
    else:
        tables = staged(batch, tmp_path / "staging")
        assert all(table.empty for table in tables.values())
