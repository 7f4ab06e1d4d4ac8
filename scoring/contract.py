"""The landing contract: the files and columns that the extractor and the registry deliver.

    <landing>/<YYYY-MM-DD>/consultations.csv               one row per consultation: the reading of one radiograph
                           disease_activity.csv            one row per patient and visit
                           joints/<sop_iuid>_<joint>.jpg   one image per joint
                           _SUCCESS                        written last: the folder is complete
                           _SYNTHETIC                      only in folders written by `scoring phantom`

A table may be `.parquet` instead of `.csv`. `<joint>` is the name of the joint's column in consultations.csv. The
settings of a site may give the images and `_SUCCESS` other names. Source: thesis (ZHAW 2017), Tables 2 and 3.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scoring.clinical.das28 import MAX_CRP, MAX_DAS28, MAX_ESR, MAX_PATIENT_GLOBAL, N_JOINTS
from scoring.clinical.joints import LEFT_HAND, REGISTRY_JOINTS
from scoring.clinical.rau import MAX_SCORE

if TYPE_CHECKING:
    from upath import UPath

DATASET_SUFFIXES = (".csv", ".parquet")
JOINTS_FOLDER = "joints"
SYNTHETIC_MARKER = "_SYNTHETIC"
SYNTHETIC_NOTICE = "The model was trained on synthetic phantoms: its predictions say nothing about patients."


@dataclass(frozen=True)
class Column:
    """A column of a delivered table; its name may be in any letter case.

    A number has a unit and is between 0 and `maximum`. A file without a required column is rejected.
    """

    name: str
    type: Literal["text", "date", "number"]
    meaning: str
    unit: str = ""
    maximum: float | None = None
    required: bool = True


def _number(name: str, meaning: str, unit: str, maximum: float, *, required: bool = True) -> Column:
    return Column(name, "number", meaning, unit, maximum, required)


_PATIENT = Column("patient_id", "text", "Pseudonym of the patient; leading zeros are significant.")

CONSULTATION_COLUMNS: tuple[Column, ...] = (
    Column("id_x", "text", "Key of the consultation."),
    _PATIENT,
    Column("date_x", "date", "Date of the visit at which the radiograph was taken."),
    Column("date_y", "date", "Date on which the radiograph was read."),
    Column("sop_iuid", "text", "DICOM SOP instance UID of the radiograph, or its pseudonym."),
    Column("body_part", "text", "Body part on the radiograph, such as HAND_LEFT."),
    *(
        _number(
            joint.column,
            f"Eroded joint surface of the {joint.side} {joint.name}.",
            "percent",
            100,
            required=joint in LEFT_HAND,
        )
        for joint in REGISTRY_JOINTS
    ),
    _number("rau_score", "Rau score reported by the reader.", "points", MAX_SCORE),
)

ACTIVITY_COLUMNS: tuple[Column, ...] = (
    _PATIENT,
    Column("date", "date", "Date of the visit."),
    _number("physician_global_disease_activity", "The physician's global assessment.", "mm", 100),
    _number("global_patient_estimate_disease_activity", "The patient's global assessment.", "mm", MAX_PATIENT_GLOBAL),
    _number("das28bsr_score", "DAS28-ESR with four variables, as reported (BSR: German for ESR).", "points", MAX_DAS28),
    _number("das283crp_score", "DAS28-CRP with three variables, as reported.", "points", MAX_DAS28),
    _number("swollen_28", "Number of swollen joints out of 28.", "joints", N_JOINTS, required=False),
    _number("tender_28", "Number of tender joints out of 28.", "joints", N_JOINTS, required=False),
    _number("esr", "Erythrocyte sedimentation rate.", "mm/h", MAX_ESR, required=False),
    _number("crp", "C-reactive protein.", "mg/L", MAX_CRP, required=False),
)

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "consultations": CONSULTATION_COLUMNS,
    "disease_activity": ACTIVITY_COLUMNS,
}
DATASETS = tuple(COLUMNS)

MEASURES: tuple[str, ...] = tuple(column.name for column in ACTIVITY_COLUMNS if column.type == "number")
"""Names of the numeric columns of disease_activity."""


def column_names(dataset: str, *, required: bool) -> tuple[str, ...]:
    """Return the names of the required or the optional columns of a dataset, in the order of the contract."""
    return tuple(column.name for column in COLUMNS[dataset] if column.required is required)


def is_synthetic(batch_folder: "UPath") -> bool:
    """True if a landing folder was written by `scoring phantom`."""
    return bool((batch_folder / SYNTHETIC_MARKER).exists())


def any_synthetic(image_uris: Iterable[str]) -> bool:
    """True if any of these images is in a landing folder that was written by `scoring phantom`."""
    from upath import UPath

    return any(map(is_synthetic, {UPath(uri).parent.parent for uri in image_uris}))
