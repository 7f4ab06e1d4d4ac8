"""Content of the nightly report, as plain frozen data that the pipeline fills from the warehouse."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

import pandas as pd

_ROW_COUNTS: Final = (
    "dataset", "received", "scored", "already_scored", "new", "updated", "unchanged", "superseded", "quarantined",
    "unaccounted_for", "reconciled",
)  # fmt: skip
_RULES: Final = ("rule", "dataset", "severity", "n", "reason", "remedy", "examples")
_CORRELATION: Final = (
    "damage", "activity", "method", "estimate", "ci_low", "ci_high", "confidence", "n_visits", "n_patients",
)  # fmt: skip
_JOINTS: Final = (
    "sop_iuid", "joint", "predicted_percent", "predicted_q05", "predicted_q95", "predicted_grade", "image",
)  # fmt: skip

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "row_counts": _ROW_COUNTS,
    "late_files": ("batch_date", "n"),
    "quarantine": _RULES,
    "warnings": _RULES,
    "grade_distribution": ("batch_date", "predicted_grade", "n"),
    "rau_points": ("activity", "das28", "damage", "rau"),
    "correlation": _CORRELATION,
    "severe_joints": _JOINTS,
    "uncertain_joints": _JOINTS,
}
"""Required columns of each frame of `NightlyReport`."""


def empty_frame(name: str) -> pd.DataFrame:
    """Return a frame of `NightlyReport`, such as "quarantine", without rows."""
    return pd.DataFrame(columns=list(COLUMNS[name]))


@dataclass(frozen=True)
class ModelFacts:
    """The model that scored the batch, as named in `scoring.model_version` and in the run.

    Attributes:
        version: Version of the model.
        weights_sha256: SHA-256 of its weights; the report shows the first twelve digits.
        trained_on_synthetic: True adds the banner "Not for clinical use" to the report.
        preprocessing: Preprocessing version, such as "grey128-v1".
        engine: "openvino" or "tensorflow".
    """

    version: str
    weights_sha256: str
    trained_on_synthetic: bool
    preprocessing: str
    engine: str


@dataclass(frozen=True, eq=False)
class NightlyReport:
    """Content of the nightly report. Columns that `COLUMNS` does not list are ignored and never shown.

    Attributes:
        batch_date: Date of the batch.
        run_id: The run in `scoring.run`.
        status: Verdict of the last task of the run.
        model: The model that scores in this run.
        code_revision: Revision of the code that ran.
        started_at: Start of the run, with a time zone.
        finished_at: End of the run.
        message: Error message of a failed run; "" otherwise.
        synthetic_data: True if records and images are phantoms; every figure is then marked as synthetic.
        row_counts: Columns of `analyst.run_reconciliation`, one row per dataset ("images", "consultations", "readings",
            "disease_activity"). Outcomes that do not apply to a dataset are 0 or missing.
        late_files: `n` files that arrived late in the folder of an earlier `batch_date`.
        quarantine: One row per rule and dataset, with `n` quarantined rows. `examples` is a sequence of row keys (file
            and row number, never values); the report shows five.
        warnings: The same columns, for rows that were kept.
        grade_distribution: `n` predicted joints per batch and Ratingen grade, for this batch and earlier ones.
        rau_points: One row per visit, DAS28 form and kind of Rau score: `activity` is the form ("das28_esr4", ...),
            `das28` its value, `damage` "reported_rau" or "predicted_rau", `rau` 0-190 points. Contains no identifier.
        correlation: Rows of `analytics.correlation`.
        severe_joints: Joints with the highest erosion (percent), in descending order; `image` is uint8 grey levels
            `(height, width)` or None.
        uncertain_joints: Joints with the widest intervals, with the same columns.
        data_docs: Path or URL of the Data Docs of the run; "" if there are none.
        psql: Command that opens the warehouse in psql; must not contain a password.

    Raises:
        ValueError: A frame lacks a column.
    """

    batch_date: date
    run_id: str
    status: Literal["succeeded", "failed"]
    model: ModelFacts
    code_revision: str
    started_at: datetime
    finished_at: datetime
    message: str
    synthetic_data: bool
    row_counts: pd.DataFrame
    late_files: pd.DataFrame
    quarantine: pd.DataFrame
    warnings: pd.DataFrame
    grade_distribution: pd.DataFrame
    rau_points: pd.DataFrame
    correlation: pd.DataFrame
    severe_joints: pd.DataFrame
    uncertain_joints: pd.DataFrame
    data_docs: str
    psql: str

    def __post_init__(self) -> None:
        for name, columns in COLUMNS.items():
            if missing := set(columns) - set(getattr(self, name).columns):
                raise ValueError(f"NightlyReport.{name} lacks the columns {', '.join(sorted(missing))}.")
