"""Validation of files as they are staged: CSV bytes and image rows, written to Parquet and read again."""

from datetime import date

import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from scoring.landing import schema
from scoring.landing.readers import read_table
from scoring.landing.tables import stage_table
from scoring.settings import Settings
from scoring.validation.batch import Known, validate_batch

BATCH_DATE = date(2026, 11, 21)
NOTHING_KNOWN = Known(
    pd.DataFrame(columns=["sop_iuid", "patient_id"], dtype="str"),
    pd.DataFrame(columns=["sop_iuid", "joint", "image_sha256"], dtype="str"),
)
HEADER = (
    "id_x;patient_id;date_x;date_y;sop_iuid;body_part;"
    + ";".join(f"hand_left_{n}" for n in range(1, 11))
    + ";rau_score"
)
ACTIVITY_HEADER = (
    "patient_id;date;physician_global_disease_activity;global_patient_estimate_disease_activity;das28bsr_score;"
    "das283crp_score"
)


def write_parquet(frame, path, table_schema):
    with schema.parquet_writer(path, table_schema) as writer:
        writer.write_table(pa.Table.from_pandas(frame, schema=table_schema, preserve_index=False))


def validated(folder, consultations="", activity="", images=()):
    """Stage and validate CSV lines and image rows, as the pipeline does."""
    frames = {}
    tables = {"consultations": f"{HEADER}\n{consultations}", "disease_activity": f"{ACTIVITY_HEADER}\n{activity}"}
    for dataset, csv in tables.items():
        source = f"{BATCH_DATE}/{dataset}.csv"
        text = read_table(csv.encode(), dataset=dataset, source_file=source)
        frames |= stage_table(dataset, text, source_file=source, batch_date=BATCH_DATE)
    frames["images"] = pa.Table.from_pylist(
        [image(**each) for each in images], schema=schema.SCHEMAS["images"]
    ).to_pandas()
    for name, frame in frames.items():
        write_parquet(frame, UPath(folder) / f"{name}.parquet", schema.SCHEMAS[name])
    staged = {name: schema.read_parquet(UPath(folder) / f"{name}.parquet") for name in schema.SCHEMAS}
    return validate_batch(staged, NOTHING_KNOWN, Settings(_env_file=None), BATCH_DATE)


def image(name, **facts):
    source = f"{BATCH_DATE}/joints/{name}"
    origin = {"source_file": source, "row_key": source, "row_number": 0, "batch_date": BATCH_DATE}
    good = {"sha256": name, "decodes": True, "color_space": "Gray", "width": 128, "height": 96, "contrast": 30.0}
    shares = {"brightness": 80.0, "dark_share": 0.1, "bright_share": 0.0}
    return {**origin, "file_name": name, "uri": source, "size_bytes": 1, "late": False, **good, **shares, **facts}


def test_validate_batch_quarantines_the_faults_of_real_exports(tmp_path):
    verdict = validated(
        tmp_path,
        "c1;00123;2026-11-01T00:00:00;2026-11-10;1.2.1;HAND_LEFT;0;5;7,5;;120;n/a;-5;0;0;0;19,5\n"
        "c2;00124;01.11.2026;;1.2.2;HAND_LEFT;0;0;0;0;0;0;0;0;0;0;0\n"
        "c3;00125;2026-11-22;;1.2.3;HAND_LEFT;0;0;0;0;0;0;0;0;0;0;0\n"
        "c1;00123;2026-11-01;2026-11-10;1.2.1;HAND_LEFT;0;5;7,5;;120;n/a;-5;0;0;0;19,5\n",
        "00123;2026-11-01;20;30;3,5;2,8\n00123;2026-11-01;20;31;3,5;2,8\n00124;2026-11-02;;;;\n",
        [
            {"name": "1.2.1_hand_left_1.jpg", "sop_iuid": "1.2.1", "joint": "hand_left_1"},
            {"name": "1.2.2_hand_left_1.jpg", "sop_iuid": "1.2.2", "joint": "hand_left_1"},
            {"name": "1.2.1_hand_left_2.jpg", "sop_iuid": "1.2.1", "joint": "hand_left_2", "sha256": None}
            | dict.fromkeys(["color_space", "width", "height", "contrast", "brightness", "dark_share", "bright_share"])
            | {"decodes": False},
        ],
    )
    assert verdict.consultations.counts == {
        "consultations.exact_copy": 1,
        "consultations.date_x_readable": 1,
        "consultations.date_x_not_future": 1,
    }
    assert list(verdict.consultations.accepted["patient_id"]) == ["00123"]
    assert verdict.readings.counts == {
        "readings.consultation_accepted": 29,
        "readings.percent_readable": 1,
        "readings.percent_in_range": 2,
    }
    assert verdict.readings.kept_counts == {"readings.percent_on_grid": 2}
    assert list(verdict.readings.accepted["reading_percent"]) == [0, 5, 7.5, 0, 0, 0]
    assert verdict.disease_activity.counts == {"disease_activity.visit_unique": 2}
    assert verdict.images.counts == {"images.radiograph_known": 1, "images.decodes": 1}
    write_parquet(verdict.images.accepted, UPath(tmp_path) / "accepted.parquet", schema.SCHEMAS["images"])


def test_validate_batch_accepts_a_staged_batch_without_rows(tmp_path):
    assert [(each.n_rows, each.counts) for each in validated(tmp_path)] == [(0, {})] * 4


@pytest.mark.parametrize("name", ["..%2F1.2.1_hand_left_1.jpg", "thumbs.db"])
def test_validate_batch_accepts_columns_of_nulls(tmp_path, name):
    """A Parquet column that contains only nulls is read with a different type."""
    verdict = validated(tmp_path, ";;;;;HAND_LEFT;;;;;;;;;;;\n" * 2, ";;20;;;\n", [{"name": name}])
    assert verdict.consultations.counts == {"consultations.id_present": 2}
    assert verdict.disease_activity.counts == {"disease_activity.patient_present": 1}
    assert verdict.images.counts == {"images.name_matches": 1}
