"""Staged frames of a small good night, which tests damage one cell at a time."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

import scoring.validation.runner  # noqa: F401 - imports Great Expectations with its import-time warnings silenced

NIGHT = date(2026, 11, 21)
FOLDER = NIGHT.isoformat()
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


class Build:
    """Builds staged frames from overrides of a good row."""

    night = NIGHT
    measures = MEASURES

    def consultations(self, *rows):
        return self._table("consultations.csv", CONSULTATION, rows)

    def activity(self, *rows):
        return self._table("disease_activity.csv", ACTIVITY, rows)

    def readings(self, consultations, *rows):
        """Readings of the consultation at position `of` (default 0); joint and percent may be overridden."""
        cells = []
        for row in rows:
            parent = consultations.iloc[row.get("of", 0)]
            cell = {"joint": "hand_left_1", "reading_percent": 10.0, **row}
            cell.setdefault("erosion_text", f"{cell['reading_percent']:g}")
            origin = parent[["id_x", "patient_id", "sop_iuid", "source_file", "row_number", "batch_date"]].to_dict()
            key = f"{parent['row_key']}:{cell['joint']}"
            cells.append({**origin, **cell, "row_key": key})
        columns = ["id_x", "patient_id", "sop_iuid", "joint", "erosion_text", "reading_percent"]
        return self._typed(cells, [*columns, "source_file", "row_number", "batch_date", "row_key"])

    def images(self, *rows):
        files = []
        for row in rows:
            folder = row.get("batch_date", NIGHT)
            image = {**IMAGE, **row, "batch_date": folder, "row_number": 0, "size_bytes": 4000, "late": folder < NIGHT}
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
        """A new row of the file for each override; `batch_date` puts it into another night's file."""
        table = []
        for number, row in enumerate(rows, start=2):
            folder = row.get("batch_date", NIGHT)
            source = f"{folder}/{name}"
            origin = {"source_file": source, "row_number": number, "batch_date": folder}
            table.append({**good, **origin, "row_key": f"{source}:{number}", **row})
        return self._typed(table, [*good, "source_file", "row_number", "batch_date", "row_key"])

    @staticmethod
    def _typed(rows, columns):
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({column: "float64" for column in columns if column in NUMBERS})


@pytest.fixture(scope="session")
def build():
    return Build()
