"""Rows inserted directly into the tables, with the values that the job would compute."""

from datetime import date, timedelta
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from scoring.clinical import das28, ratingen
from scoring.warehouse import statements
from tests.lib.staged import BATCH, PREPROCESSING, RUN

START = date(2020, 1, 1)
"""Day 0 of all records."""

CHAMPION, FORMER = "champion", "former"
PREPARE = f"""
INSERT INTO scoring.model_version
SELECT version, 'a', 128, '{PREPROCESSING}', repeat('a', 64), '{{}}', TRUE
FROM unnest(ARRAY['{CHAMPION}', '{FORMER}']) AS version;
INSERT INTO scoring.promotion (version, promoted_by, reason) VALUES ('{CHAMPION}', 'a steward', 'first');
INSERT INTO scoring.activation (promotion_id, n_missing) SELECT promotion_id, 0 FROM scoring.promotion;
INSERT INTO scoring.run (run_id, batch_date, trigger, triggered_by, code_revision)
VALUES ('{RUN}', '{BATCH}', 'cli', 'tester', 'abc');
"""  # noqa: S608 - constants


def day(days: int) -> date:
    return START + timedelta(days=days)


def insert(connection: Connection, table: str, **values: Any) -> None:
    statements.insert(connection, table, values)


def origin(batch: date = BATCH) -> dict[str, object]:
    return {"batch_date": batch, "first_batch_date": batch, "run_id": str(RUN)}


def line(file: str, batch: date = BATCH) -> dict[str, object]:
    return {"source_file": file, "row_number": 2, **origin(batch)}


def radiograph(
    connection: Connection, patient: str, days: int, sop_iuid: str | None = None, batch: date = BATCH
) -> str:
    """Insert a radiograph and return its UID, by default `patient-days`."""
    name = sop_iuid or f"{patient}-{days}"
    place = {"sop_iuid": name, "patient_id": patient, "visit_date": day(days), "body_part": "HAND_LEFT"}
    insert(connection, "registry.radiograph", **place, **origin(batch))
    return name


def consultation(connection: Connection, patient: str, days: int, id_x: str, **values: object) -> None:
    row = {"id_x": id_x, "patient_id": patient, "visit_date": day(days), **line("c.csv")}
    insert(connection, "registry.consultation", **(row | values))


def reading(connection: Connection, patient: str, id_x: str, joint: str, percent: float, **values: object) -> None:
    row = {"id_x": id_x, "joint": joint, "patient_id": patient, "reading_percent": percent, **line("c.csv")}
    insert(connection, "registry.joint_reading", **(row | values))


def activity(connection: Connection, patient: str, days: int, batch: date = BATCH, **measures: float) -> None:
    """Insert the disease activity of a visit, with every form of DAS28 whose components are complete."""
    tender, swollen, esr, crp, patient_global = (
        np.float64(measures.get(name, np.nan)) for name in ("tender_28", "swollen_28", "esr", "crp", "patient_global")
    )
    computed = {
        "das28_esr4": das28.das28_esr(tender, swollen, esr, patient_global),
        "das28_esr3": das28.das28_esr(tender, swollen, esr),
        "das28_crp4": das28.das28_crp(tender, swollen, crp, patient_global),
        "das28_crp3": das28.das28_crp(tender, swollen, crp),
    }
    row = {"patient_id": patient, "visit_date": day(days), **line("d.csv", batch), **measures}
    row |= {name: float(value) for name, value in computed.items() if not np.isnan(value)}
    insert(connection, "registry.disease_activity", **row)


def prediction(connection: Connection, sop_iuid: str, joint: str, percent: float, batch: date = BATCH) -> None:
    """Insert a joint image with the champion's prediction."""
    written = {"sop_iuid": sop_iuid, "joint": joint, "batch_date": batch, "run_id": str(RUN)}
    written |= {"image_sha256": f"{abs(hash((sop_iuid, joint))):064x}"}
    size = {"size_bytes": 1, "width": 9, "height": 9, "color_space": "Gray", "brightness": 1, "contrast": 1}
    insert(connection, "imaging.joint_image", file_name="f", uri="u", **size, **written)
    insert(
        connection,
        "scoring.joint_prediction",
        **written,
        model_version=CHAMPION,
        preprocessing_version=PREPROCESSING,
        **dict.fromkeys(("predicted_percent", "predicted_median", "predicted_q05", "predicted_q95"), percent),
        predicted_grade=int(ratingen.grade(percent)),
        grade_probability=[1 / 6] * 6,
        engine="e",
        code_revision="abc",
    )


def rau(connection: Connection, patient: str, days: int, expected: float, **values: object) -> None:
    """Insert the predicted Rau score of the only radiograph of a visit, and of the visit."""
    row = {
        "patient_id": patient,
        "visit_date": day(days),
        "model_version": CHAMPION,
        "preprocessing_version": PREPROCESSING,
        **dict.fromkeys(("rau_expected", "rau_median", "rau_from_grades"), expected),
        "rau_q05": expected - 5,
        "rau_q95": expected + 5,
        "n_scored": 10,
        **origin(),
        **values,
    }
    for scope, sop_iuid in (("radiograph", f"{patient}-{days}"), ("visit", "")):
        insert(connection, "scoring.rau_prediction", scope=scope, sop_iuid=sop_iuid, **row)
