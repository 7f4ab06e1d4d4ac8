"""Rows as landing stages them and validation accepts them, and their publication as the steps of a run do it."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from sqlalchemy.engine import Engine

from scoring.clinical import ratingen
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import predictions, promotions, registry, runs
from scoring.warehouse.queries import analysis

RUN, SECOND_RUN = UUID(int=1), UUID(int=2)
BATCH, NEXT_BATCH = date(2026, 11, 21), date(2026, 11, 22)
VISIT, LATER_VISIT = date(2020, 1, 1), date(2020, 3, 5)
MODEL, PREPROCESSING = "test-1", "grey128-v1"

Row = dict[str, Any]

_MEASURES = (
    "physician_global_disease_activity",
    "global_patient_estimate_disease_activity",
    "das28bsr_score",
    "das283crp_score",
    "swollen_28",
    "tender_28",
    "esr",
    "crp",
)
_READING = ("source_file", "row_number", "batch_date", "id_x", "patient_id", "sop_iuid", "joint", "reading_percent")
_CONSULTATION = ("id_x", "patient_id", "date_x", "date_y", "sop_iuid", "body_part", "rau_score")
_SOURCE = ("source_file", "row_number", "batch_date")


def manifest(version: str = MODEL, weights: str = "a") -> Row:
    return {
        "version": version,
        "architecture": "cdf-regressor",
        "input_side": 128,
        "preprocessing_version": PREPROCESSING,
        "files": {"weights.npz": {"sha256": weights * 64}},
        "trained_on_synthetic": True,
    }


def register_champion(engine: Engine, version: str = MODEL) -> None:
    promotions.register_model(engine, manifest(version))
    promotions.promote(engine, version, "a steward", "first model")


def open_run(engine: Engine, run_id: UUID, batch_date: date = BATCH, **values: Any) -> bool:
    facts = {"trigger": "cli", "triggered_by": "tester", "code_revision": "abc", "model_version": MODEL}
    return runs.open_run(engine, run_id, batch_date, **(facts | values))


def consultation(
    id_x: str,
    patient_id: str = "p",
    sop_iuid: str = "f",
    *,
    batch: date = BATCH,
    row: int = 2,
    rau: float = np.nan,
    read_on: date = date(2020, 2, 1),
    visit: date = VISIT,
) -> Row:
    file = f"{batch}/consultations.csv"
    return {
        "source_file": file,
        "row_number": row,
        "batch_date": batch,
        "row_key": f"{file}:{row}",
        "id_x": id_x,
        "patient_id": patient_id,
        "date_x": visit,
        "date_y": read_on,
        "sop_iuid": sop_iuid,
        "body_part": "HAND_LEFT",
        "rau_score": rau,
    }


def reading(of: Row, joint: str = "hand_left_1", percent: float = 1.0) -> Row:
    key = {"row_key": f"{of['row_key']}:{joint}", "joint": joint, "reading_percent": percent}
    return {name: of[name] for name in _READING[:6]} | key


def activity(
    patient_id: str = "p", *, batch: date = BATCH, row: int = 2, visit: date = VISIT, **measures: float
) -> Row:
    file = f"{batch}/disease_activity.csv"
    origin = {"source_file": file, "row_number": row, "batch_date": batch, "row_key": f"{file}:{row}"}
    return {**origin, "patient_id": patient_id, "date": visit, **dict.fromkeys(_MEASURES, np.nan), **measures}


def image(sop_iuid: str, joint: str, sha256: str, batch: date = BATCH) -> Row:
    name = f"{sop_iuid}_{joint}.jpg"
    return {
        "source_file": f"{batch}/joints/{name}",
        "row_number": 0,
        "batch_date": batch,
        "row_key": f"{batch}/joints/{name}",
        "file_name": name,
        "uri": f"landing/{batch}/joints/{name}",
        "size_bytes": 4000,
        "sha256": sha256,
        "sop_iuid": sop_iuid,
        "joint": joint,
        "color_space": "Gray",
        "width": 150,
        "height": 150,
        "brightness": 90.5,
        "contrast": 30.25,
    }


def prediction(of: Row, percent: float, engine: str = "openvino/float32") -> Row:
    return {
        "image_sha256": of["sha256"],
        "sop_iuid": of["sop_iuid"],
        "joint": of["joint"],
        "predicted_percent": np.float32(percent),
        "predicted_median": np.float32(percent),
        "predicted_q05": np.float32(max(percent - 5, 0)),
        "predicted_q95": np.float32(percent + 5),
        "predicted_grade": int(ratingen.grade(percent)),
        "grade_probability": np.array([0.1, 0.5, 0.2, 0.1, 0.05, 0.05], dtype=np.float32),
        "engine": engine,
    }


def quarantined(rule: str = "images.decodes", file: str = "2026-11-21/joints/x.jpg", **values: Any) -> pd.DataFrame:
    row = {
        "dataset": "images",
        "row_key": file,
        "record_id": None,
        "source_file": file,
        "row_number": 0,
        "batch_date": BATCH,
        "rule": rule,
        "severity": "critical",
        "kept": False,
        "reason": "The file ends before the image is complete.",
        "remedy": "Have the extractor write it again.",
        "content_sha256": None,
    }
    return pd.DataFrame([row | values])


def rau_of(joints: pd.DataFrame) -> pd.DataFrame:
    """Return simple Rau scores of visits and radiographs, with an interval of 10 points to both sides."""
    rows = []
    for (patient_id, visit_date), visit in joints.groupby(["patient_id", "visit_date"]):
        rau = float(visit["predicted_grade"].sum() * 38 / len(visit))
        scores = dict.fromkeys(("rau_expected", "rau_median", "rau_from_grades"), rau)
        scores |= {"rau_q05": max(rau - 10, 0), "rau_q95": rau + 10, "n_scored": len(visit)}
        for sop_iuid in ("", *sorted(set(visit["sop_iuid"]))):
            of = {"scope": "radiograph" if sop_iuid else "visit", "sop_iuid": sop_iuid}
            rows.append({**of, "patient_id": patient_id, "visit_date": visit_date, **scores})
    return pd.DataFrame(rows)


def prediction_run(run_id: UUID = RUN, model: str = MODEL) -> predictions.PredictionRun:
    return predictions.PredictionRun(run_id, BATCH, model, PREPROCESSING, "abc")


def publish_records(
    engine: Engine,
    consultations: Sequence[Row] = (),
    readings: Sequence[Row] = (),
    disease_activity: Sequence[Row] = (),
    *,
    received: Sequence[Row] | None = None,
    run_id: UUID = RUN,
    with_rau: bool = True,
) -> dict[str, UpsertCounts]:
    """Publish accepted records, and by default the Rau scores of their radiographs."""
    with transaction(engine) as connection:
        runs.publish_lock(connection)
        counts = registry.publish_registry(
            connection,
            run_id,
            pd.DataFrame(list(consultations), columns=[*_SOURCE, *_CONSULTATION]),
            pd.DataFrame(list(readings), columns=list(_READING)),
            pd.DataFrame(list(disease_activity), columns=[*_SOURCE, "patient_id", "date", *_MEASURES]),
            pd.DataFrame(list(readings if received is None else received), columns=list(_READING)),
        )
        radiographs = [row["sop_iuid"] for row in consultations]
        joints = analysis.radiograph_predictions(connection, MODEL, PREPROCESSING, radiographs)
        if with_rau and len(joints):
            predictions.publish_rau(connection, prediction_run(run_id), rau_of(joints))
    return counts


def publish_images(
    engine: Engine, images: list[Row], scored: list[Row], run_id: UUID = RUN
) -> predictions.PredictionCounts:
    """Publish accepted images with their predictions, and the Rau scores of their visits."""
    empty = prediction(image("", "", ""), 0.0)
    with transaction(engine) as connection:
        counts = predictions.publish_predictions(
            connection,
            prediction_run(run_id),
            pd.DataFrame(images, columns=list(image("", "", ""))),
            pd.DataFrame(scored, columns=list(empty)),
        )
        radiographs = [row["sop_iuid"] for row in images]
        joints = analysis.radiograph_predictions(connection, MODEL, PREPROCESSING, radiographs)
        if len(joints):
            predictions.publish_rau(connection, prediction_run(run_id), rau_of(joints))
    return counts


def publish_batch(engine: Engine, run_id: UUID = RUN) -> tuple[dict[str, UpsertCounts], predictions.PredictionCounts]:
    """Publish two patients: 00123 with a radiograph that was read twice, and 00124 with another one."""
    consulted = [
        consultation("1", "00123", "1.2.3", row=2, rau=10.0),
        consultation("2", "00123", "1.2.3", row=3, rau=12.0, read_on=date(2021, 5, 1)),
        consultation("3", "00124", "1.2.4", row=4),
    ]
    read = [
        reading(consulted[0], "hand_left_1", 20.0),
        reading(consulted[1], "hand_left_1", 25.0),
        reading(consulted[2], "hand_left_2", 0.0),
    ]
    parts = {"swollen_28": 4.0, "tender_28": 9.0, "esr": 20.0}
    active = [
        activity("00123", das28bsr_score=4.2, crp=8.0, **parts),
        activity("00124", row=3, global_patient_estimate_disease_activity=50, **parts),
    ]
    seen = [image("1.2.3", "hand_left_1", "1" * 64), image("1.2.4", "hand_left_2", "2" * 64)]
    counts = publish_records(engine, consulted, read, active, run_id=run_id)
    return counts, publish_images(engine, seen, [prediction(seen[0], 30.0), prediction(seen[1], 2.0)], run_id)
