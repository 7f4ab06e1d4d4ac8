"""What the page of a night shows, as plain frozen data that the pipeline fills from the warehouse."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import partial
from typing import Final, Literal

import pandas as pd

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "books": (
        "dataset",
        "landed",
        "scored",
        "already_scored",
        "new",
        "updated",
        "unchanged",
        "superseded",
        "quarantined",
        "balanced",
    ),
    "late_files": ("batch_date", "n"),
    "quarantine": ("rule", "dataset", "severity", "n", "reason", "remedy", "examples"),
    "warnings": ("rule", "dataset", "severity", "n", "reason", "remedy", "examples"),
    "grade_distribution": ("batch_date", "predicted_grade", "n"),
    "rau_points": ("activity", "das28", "damage", "rau"),
    "correlation": (
        "damage",
        "activity",
        "method",
        "estimate",
        "ci_low",
        "ci_high",
        "confidence",
        "n_visits",
        "n_patients",
    ),
    "worst_joints": (
        "sop_iuid",
        "joint",
        "predicted_percent",
        "predicted_q05",
        "predicted_q95",
        "predicted_grade",
        "image",
    ),
    "doubtful_joints": (
        "sop_iuid",
        "joint",
        "predicted_percent",
        "predicted_q05",
        "predicted_q95",
        "predicted_grade",
        "image",
    ),
}


def empty_frame(name: str) -> pd.DataFrame:
    """A frame of `NightlyReport` without rows.

    Args:
        name: the field of `NightlyReport`, such as "quarantine".
    """
    return pd.DataFrame(columns=list(COLUMNS[name]))


@dataclass(frozen=True)
class ModelFacts:
    """The model that scored the night, as `scoring.model_version` and the run name it.

    Attributes:
        version: version string of the model.
        weights_sha256: hash of its weights; the page shows the first twelve digits.
        trained_on_synthetic: puts the banner "not for clinical use" on the page.
        preprocessing: preprocessing version, such as "grey128-v1".
        engine: "openvino" or "tensorflow".
    """

    version: str
    weights_sha256: str
    trained_on_synthetic: bool
    preprocessing: str
    engine: str


@dataclass(frozen=True, eq=False)
class NightlyReport:
    """All that the page of one night shows. Columns beyond those of `COLUMNS` are ignored, never shown.

    Attributes:
        batch_date: the night.
        run_id: the run in `scoring.run`.
        status: the gate's verdict.
        model: the model that the run scores with.
        code_revision: revision of the code that ran.
        started_at: start of the run, with a time zone.
        finished_at: its end, or None.
        message: why the night failed, in the words of its error; "" otherwise.
        synthetic_data: the records and images are phantoms, so every figure is marked synthetic.
        books: one row a dataset ("images", "consultations", "readings", "disease_activity") with its counts; outcomes
            that do not apply to a dataset are 0 or missing. `balanced` is a bool.
        late_files: `n` files that came late into the folder of `batch_date`.
        quarantine: one row a (rule, dataset) with `n` excluded rows. `examples` is a sequence of row keys (file and
            row, never values); five are shown.
        warnings: likewise, for rows that were kept.
        grade_distribution: `n` predicted joints a night and Ratingen grade, for this and earlier nights.
        rau_points: one row a visit: `activity` names the DAS28 form ("das28_esr4", ...), `das28` its value, `damage`
            is "reported_rau" or "predicted_rau", `rau` is 0-190. No identifier belongs here.
        correlation: rows of `analytics.correlation`.
        worst_joints: highest erosion first; erosion in percent; `image` is the JPEG file's bytes or None.
        doubtful_joints: widest interval first, likewise.
        data_docs: path or URL of the run's Data Docs; "" if none were written.
        psql: the line that opens the warehouse in psql; must carry no password.
    """

    batch_date: date
    run_id: str
    status: Literal["succeeded", "failed"]
    model: ModelFacts
    code_revision: str
    started_at: datetime
    finished_at: datetime | None = None
    message: str = ""
    synthetic_data: bool = False
    books: pd.DataFrame = field(default_factory=partial(empty_frame, "books"))
    late_files: pd.DataFrame = field(default_factory=partial(empty_frame, "late_files"))
    quarantine: pd.DataFrame = field(default_factory=partial(empty_frame, "quarantine"))
    warnings: pd.DataFrame = field(default_factory=partial(empty_frame, "warnings"))
    grade_distribution: pd.DataFrame = field(default_factory=partial(empty_frame, "grade_distribution"))
    rau_points: pd.DataFrame = field(default_factory=partial(empty_frame, "rau_points"))
    correlation: pd.DataFrame = field(default_factory=partial(empty_frame, "correlation"))
    worst_joints: pd.DataFrame = field(default_factory=partial(empty_frame, "worst_joints"))
    doubtful_joints: pd.DataFrame = field(default_factory=partial(empty_frame, "doubtful_joints"))
    data_docs: str = ""
    psql: str = ""

    def __post_init__(self) -> None:
        for attribute in fields(self):
            if attribute.name not in COLUMNS:
                continue
            missing = set(COLUMNS[attribute.name]) - set(getattr(self, attribute.name).columns)
            if missing:
                raise ValueError(f"NightlyReport.{attribute.name} lacks the columns {', '.join(sorted(missing))}")
