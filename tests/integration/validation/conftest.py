"""Staged tables of a small valid batch, which tests damage one cell at a time."""

from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
import pytest

from expectations.consultations import consultations_suite
from expectations.disease_activity import disease_activity_suite
from expectations.images import images_suite
from scoring.settings import Settings
from scoring.validation import facts
from scoring.validation.batch import Known, validate_batch
from scoring.validation.runner import validate

BATCH_DATE = date(2026, 11, 21)
MEASURES = {
    "physician_global_disease_activity": 20.0,
    "global_patient_estimate_disease_activity": 30.0,
    "das28bsr_score": 4.19,
    "das283crp_score": 3.6,
    "swollen_28": 3.0,
    "tender_28": 4.0,
    "esr": 20.0,
    "crp": 5.0,
}
CONSULTATION = {
    "id_x": "c1",
    "patient_id": "00123",
    "date_x_text": "2026-11-01",
    "date_x": date(2026, 11, 1),
    "date_y_text": "2026-11-10",
    "date_y": date(2026, 11, 10),
    "sop_iuid": "1.2.1",
    "body_part": "HAND_LEFT",
    "rau_score_text": "19",
    "rau_score": 19.0,
}
ACTIVITY = {
    "patient_id": "00123",
    "date_text": "2026-11-01",
    "date": date(2026, 11, 1),
    **{f"{name}_text": f"{value:g}" for name, value in MEASURES.items()},
    **MEASURES,
}
IMAGE = {
    "sha256": "sha-1.2.1-hand_left_1",
    "sop_iuid": "1.2.1",
    "joint": "hand_left_1",
    "decodes": True,
    "decode_error": None,
    "color_space": "Gray",
    "width": 128,
    "height": 128,
    "brightness": 90.0,
    "contrast": 30.0,
    "dark_share": 0.1,
    "bright_share": 0.0,
}
NUMBERS = {"reading_percent", "rau_score", *MEASURES, "width", "height", "contrast", "dark_share", "bright_share"}


class Datasets:
    """Verdicts on single datasets, computed on access: a whole batch takes a second, one suite a fraction of it."""

    def __init__(self, staged, known):
        self.staged, self.known = staged, known

    @cached_property
    def consultations(self):
        consultations, readings = self.staged["consultations"], self.staged["readings"]
        frame = facts.consultation_facts(consultations, readings, self.known.radiographs)
        return validate(frame, consultations_suite(BATCH_DATE))

    @cached_property
    def disease_activity(self):
        frame = facts.disease_activity_facts(self.staged["disease_activity"])
        return validate(frame, disease_activity_suite(BATCH_DATE))

    @cached_property
    def images(self):
        radiographs = self.staged["consultations"]["sop_iuid"]
        frame = facts.image_facts(self.staged["images"], radiographs, self.known.images)
        return validate(frame, images_suite(min_side=48, max_side=1024))


class Build:
    """Builds staged tables from overrides of a valid row, and validates them."""

    batch_date = BATCH_DATE
    earlier = date(2026, 11, 20)
    measures = MEASURES
    settings = Settings(_env_file=None)

    def judge(self, **tables):
        """Return verdicts on single datasets; see `stage`."""
        return Datasets(*self.stage(**tables))

    def validate_batch(self, batch_date=BATCH_DATE, settings=settings, docs=None, **tables):
        """Validate tables as one batch; see `stage`."""
        return validate_batch(*self.stage(**tables), settings, batch_date, docs)

    def stage(
        self, *, consultations=None, readings=None, activity=None, images=None, radiographs=None, known_images=None
    ):
        """Complete the given tables to a batch with one consultation, and to an empty warehouse."""
        consultations = self.consultations({}) if consultations is None else consultations
        staged = {
            "consultations": consultations,
            "readings": self.readings(consultations) if readings is None else readings,
            "disease_activity": self.activity() if activity is None else activity,
            "images": self.images() if images is None else images,
        }
        known = Known(
            self.known_radiographs() if radiographs is None else radiographs,
            self.known_images() if known_images is None else known_images,
        )
        return staged, known

    @staticmethod
    def broken_rules(verdict):
        """Return pairs of the last part of the row key and the rule without the name of the dataset."""
        listed = verdict.quarantine
        return {
            (key.split(":", 1)[-1].rsplit("/", 1)[-1], rule.split(".", 1)[1])
            for key, rule in zip(listed["row_key"], listed["rule"], strict=True)
        }

    def consultations(self, *rows):
        return self._table("consultations.csv", CONSULTATION, rows)

    def activity(self, *rows):
        return self._table("disease_activity.csv", ACTIVITY, rows)

    def readings(self, consultations, *rows):
        """Return readings of the consultation at position `of` (default 0)."""
        cells = []
        for row in rows:
            parent = consultations.iloc[row.get("of", 0)]
            cell = {"joint": "hand_left_1", "reading_percent": 10.0, **row}
            cell.setdefault("reading_percent_text", f"{cell['reading_percent']:g}")
            origin = parent[["id_x", "patient_id", "sop_iuid", "source_file", "row_number", "batch_date"]].to_dict()
            key = f"{parent['row_key']}:{cell['joint']}"
            cells.append({**origin, **cell, "row_key": key})
        columns = ["id_x", "patient_id", "sop_iuid", "joint", "reading_percent_text", "reading_percent"]
        return self._typed(cells, [*columns, "source_file", "row_number", "batch_date", "row_key"])

    def images(self, *rows):
        files = []
        for row in rows:
            folder = row.get("batch_date", BATCH_DATE)
            image = {
                **IMAGE,
                **row,
                "batch_date": folder,
                "row_number": 0,
                "size_bytes": 4000,
                "late": folder < BATCH_DATE,
            }
            if "sha256" not in row:
                image["sha256"] = f"sha-{image['sop_iuid']}-{image['joint']}"
            image.setdefault("file_name", f"{image['sop_iuid']}_{image['joint']}.jpg")
            image["source_file"] = image["row_key"] = f"{folder}/joints/{image['file_name']}"
            image["uri"] = "memory://landing/" + image["source_file"]
            files.append(image)
        columns = [
            *IMAGE,
            "batch_date",
            "row_number",
            "size_bytes",
            "late",
            "file_name",
            "source_file",
            "row_key",
            "uri",
        ]
        return self._typed(files, columns)

    def known_radiographs(self, **patient_of_radiograph):
        rows = [(radiograph.replace("_", "."), patient) for radiograph, patient in patient_of_radiograph.items()]
        return pd.DataFrame(rows, columns=["sop_iuid", "patient_id"], dtype="str")

    def known_images(self, *rows):
        return pd.DataFrame(list(rows), columns=["sop_iuid", "joint", "image_sha256"], dtype="str")

    def predictions(self, *rows):
        cdf = np.clip(np.arange(101) / 40, 0, 1).astype("float32")
        good = {
            "image_sha256": "sha",
            "sop_iuid": "1.2.1",
            "joint": "hand_left_1",
            "uri": "memory://x",
            "cdf": cdf,
            "predicted_percent": 20.5,
            "predicted_median": 20.0,
            "predicted_q05": 2.0,
            "predicted_q95": 38.0,
            "predicted_grade": 2,
            "grade_probability": np.array([0.1, 0.4, 0.3, 0.1, 0.05, 0.05], dtype="float32"),
        }
        return pd.DataFrame([{**good, **row} for row in rows], columns=list(good))

    def _table(self, name, good, rows):
        """Return one row of the file per override; `batch_date` moves it to the file of another batch."""
        table = []
        for number, row in enumerate(rows, start=2):
            folder = row.get("batch_date", BATCH_DATE)
            source = f"{folder}/{name}"
            origin = {"source_file": source, "row_number": number, "batch_date": folder}
            table.append({**good, **origin, "row_key": f"{source}:{number}", **row})
        return self._typed(table, [*good, "source_file", "row_number", "batch_date", "row_key"])

    @staticmethod
    def _typed(rows, columns):
        frame = pd.DataFrame(rows, columns=columns)
        types = dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(["sop_iuid", "joint"], "str")
        return frame.astype({column: type_ for column, type_ in types.items() if column in columns})


@pytest.fixture(scope="session")
def build():
    return Build()
