"""Predictions and disease activity as rows of the table `measurement` of the OMOP common data model, version 5.4.

Columns: https://ohdsi.github.io/CommonDataModel/cdm54.html. The vocabularies have no standard concept for the eroded
percentage of a joint, its Ratingen grade or the Rau score, and none is known for the four DAS28 forms. Therefore
`measurement_concept_id` is 0, as the conventions require, and `measurement_source_value` names the measure; a site maps
it in its SOURCE_TO_CONCEPT_MAP. The data model has no columns for intervals, numbers of joints or synthetic training,
so `value_source_value` contains them.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import pyarrow as pa
from upath import UPath

from scoring.errors import BadInput

NO_CONCEPT = 0
REGISTRY, ALGORITHM = 32879, 32880
"""Type concepts "Registry" (reported by it) and "Standard algorithm" (computed with a formula or by the network)."""
PERCENT, SCORE = (8554, "%"), (44777566, "{score}")
"""Unit concepts "percent" and "score", with their UCUM codes."""

MEASUREMENT = pa.schema(
    [
        pa.field("measurement_id", pa.int64(), nullable=False),
        pa.field("person_id", pa.int64(), nullable=False),
        pa.field("measurement_concept_id", pa.int64(), nullable=False),
        pa.field("measurement_date", pa.date32(), nullable=False),
        pa.field("measurement_datetime", pa.timestamp("us")),
        pa.field("measurement_time", pa.string()),
        pa.field("measurement_type_concept_id", pa.int64(), nullable=False),
        pa.field("operator_concept_id", pa.int64()),
        pa.field("value_as_number", pa.float64()),
        pa.field("value_as_concept_id", pa.int64()),
        pa.field("unit_concept_id", pa.int64()),
        pa.field("range_low", pa.float64()),
        pa.field("range_high", pa.float64()),
        pa.field("provider_id", pa.int64()),
        pa.field("visit_occurrence_id", pa.int64()),
        pa.field("visit_detail_id", pa.int64()),
        pa.field("measurement_source_value", pa.string()),
        pa.field("measurement_source_concept_id", pa.int64()),
        pa.field("unit_source_value", pa.string()),
        pa.field("unit_source_concept_id", pa.int64()),
        pa.field("value_source_value", pa.string()),
        pa.field("measurement_event_id", pa.int64()),
        pa.field("meas_event_field_concept_id", pa.int64()),
    ]
)
_DAS28 = ("das28_esr4", "das28_esr3", "das28_crp4", "das28_crp3")

Record = Mapping[str, Any]


def joint_rows(prediction: Record) -> Iterator[dict[str, Any]]:
    """Yield the eroded percentage and the Ratingen grade of one joint as two measurements."""
    joint = prediction["joint"]
    percent, low, high = (prediction[name] for name in ("predicted_percent", "predicted_q05", "predicted_q95"))
    yield _row(prediction, f"erosion {joint}", percent, PERCENT, f"{percent:.1f} [{low:.1f}, {high:.1f}]")
    grade = prediction["predicted_grade"]
    yield _row(prediction, f"ratingen {joint}", float(grade), SCORE, str(grade))


def rau_rows(prediction: Record) -> Iterator[dict[str, Any]]:
    """Yield the Rau score of one visit; its source value contains the 90 % interval and the number of scored joints."""
    rau, low, high = (prediction[name] for name in ("rau_expected", "rau_q05", "rau_q95"))
    yield _row(prediction, "rau", rau, SCORE, f"{rau:.1f} [{low:.1f}, {high:.1f}] n={prediction['n_scored']}")


def das28_rows(visit: Record) -> Iterator[dict[str, Any]]:
    """Yield each DAS28 form of a visit as a measurement with its own name; forms are never mixed."""
    for name in _DAS28:
        if visit[name] is not None:
            # Only two forms can be reported, so only these have an origin.
            kind = REGISTRY if visit.get(f"{name}_origin") == "reported" else ALGORITHM
            yield _row(visit, name, visit[name], SCORE, f"{visit[name]:.2f}", kind=kind)


def _row(
    record: Record, measure: str, value: float, unit: tuple[int, str], source_value: str, *, kind: int = ALGORITHM
) -> dict[str, Any]:
    synthetic = " synthetic model" if record.get("trained_on_synthetic") else ""
    return {
        "patient_id": record["patient_id"],
        "measurement_concept_id": NO_CONCEPT,
        "measurement_date": record["visit_date"],
        "measurement_type_concept_id": kind,
        "value_as_number": value,
        "unit_concept_id": unit[0],
        "measurement_source_value": measure,
        "measurement_source_concept_id": NO_CONCEPT,
        "unit_source_value": unit[1],
        "value_source_value": source_value + synthetic,
    }


def numbered(rows: Iterable[dict[str, Any]], persons: Mapping[str, int]) -> Iterator[tuple[Any, ...]]:
    """Yield rows in the order of `MEASUREMENT`, with ids from 1 and person numbers instead of pseudonyms."""
    for measurement_id, row in enumerate(rows, start=1):
        full = {**row, "measurement_id": measurement_id, "person_id": persons[row["patient_id"]]}
        yield tuple(full.get(name) for name in MEASUREMENT.names)


def number_persons(patients: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """Number the patients, given by pseudonym. A known patient keeps their number, and a number is never used twice."""
    persons = dict(known)
    numbers = count(max(persons.values(), default=0) + 1)
    for patient in patients:
        if patient not in persons:
            persons[patient] = next(numbers)
    return persons


def write_persons(persons: Mapping[str, int], path: UPath) -> None:
    """Write the person map, with the columns person_id and patient_id, in the order of the numbers."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("person_id", "patient_id"))
        writer.writerows((number, patient) for patient, number in sorted(persons.items(), key=lambda item: item[1]))


def read_persons(path: UPath) -> dict[str, int]:
    """Return the person map of an earlier export: numbers by pseudonym.

    Raises:
        BadInput: The file is not a person map, or contains a number or a patient twice.
    """
    with path.open("r", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        persons = {row["patient_id"]: int(row["person_id"]) for row in rows}
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput(
            f"{path} is not a person map. Use a file with the columns person_id (integers) and patient_id."
        ) from error
    if not len(rows) == len(persons) == len(set(persons.values())):
        raise BadInput(f"{path} has a duplicate person_id or patient_id. Remove the duplicates.")
    return persons
