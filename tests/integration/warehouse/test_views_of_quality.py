"""Views of agreement, of the quality of batches and reported scores, and of lineage, on data with known results."""

from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy.engine import Connection, Engine

from scoring.clinical import das28
from scoring.clinical.joints import COLUMNS, joint_by_column
from scoring.training.evaluation.metrics import confusion_matrix, quadratic_weighted_kappa
from tests.lib.inserted import (
    PREPARE,
    START,
    activity,
    consultation,
    insert,
    origin,
    prediction,
    radiograph,
    rau,
    reading,
)
from tests.lib.staged import BATCH, NEXT_BATCH, PREPROCESSING, RUN
from tests.lib.warehouse import records, rows

PERCENT_OF_GRADE = (0.0, 10.0, 30.0, 50.0, 70.0, 90.0)

# Grades of 7 patients by joint, by two readers and the model; the second reader is close to the first.
GRADES = np.random.default_rng(5).integers(0, 6, (7, len(COLUMNS), 3))
GRADES[..., 1] = np.clip(GRADES[..., 0] + GRADES[..., 1] // 3 - 1, 0, 5)


def insert_readings(connection: Connection) -> None:
    """Insert patients with one radiograph, graded by two readers and the model; wrists for four of them only."""
    for number, patient_grades in enumerate(GRADES):
        patient = f"read-{number}"
        name = radiograph(connection, patient, 0)
        read_on = [START + timedelta(days=10 * (reader + 1)) for reader in range(2)]
        for reader in range(2):
            consultation(connection, patient, 0, f"{patient}-{reader}", sop_iuid=name, read_on=read_on[reader])
        for joint, (first, second, by_model) in zip(COLUMNS, patient_grades, strict=True):
            if joint.startswith("wrist") and number >= 4:
                continue
            prediction(connection, name, joint, PERCENT_OF_GRADE[by_model])
            for reader, grade in enumerate((first, second)):
                values = {"sop_iuid": name, "read_on": read_on[reader]}
                reading(connection, patient, f"{patient}-{reader}", joint, PERCENT_OF_GRADE[grade], **values)
    # A withdrawn reading does not count.
    consultation(connection, "read-0", 0, "read-0-2", sop_iuid="read-0-0")
    withdrawn = {"sop_iuid": "read-0-0", "withdrawn_on": BATCH, "read_on": START}
    reading(connection, "read-0", "read-0-2", "hand_left_1", 90.0, **withdrawn)


PARTS = {"tender_28": 9.0, "swollen_28": 4.0, "esr": 20.0, "crp": 8.0, "patient_global": 50.0}
ESR4, ESR3 = das28.das28_esr(9, 4, 20, 50), das28.das28_esr(9, 4, 20)
CRP4, CRP3 = das28.das28_crp(9, 4, 8, 50), das28.das28_crp(9, 4, 8)
REPORTED_DAS28: dict[str, tuple[str, float, str | None]] = {
    "exact": ("das28_esr_reported", ESR4, None),
    "rounded": ("das28_esr_reported", round(ESR4, 1), "rounding"),
    "esr3": ("das28_esr_reported", ESR3, "three variables instead of four"),
    "crp4": ("das28_esr_reported", CRP4, "four-variable DAS28-CRP instead of DAS28-ESR"),
    "crp3": ("das28_esr_reported", CRP3, "three-variable DAS28-CRP instead of DAS28-ESR"),
    "crp as esr": ("das28_esr_reported", das28.das28_esr(9, 4, 8, 50), "CRP value used as ESR"),
    "nothing": ("das28_esr_reported", 9.9, "unknown"),
    "crp exact": ("das28_crp3_reported", CRP3, None),
    "dl": ("das28_crp3_reported", das28.das28_crp(9, 4, 80), "CRP delivered in mg/dL"),
    "from dl": ("das28_crp3_reported", das28.das28_crp(9, 4, 0.8), "score computed from CRP in mg/dL"),
    "four": ("das28_crp3_reported", CRP4, "four variables instead of three"),
    "esr form": ("das28_crp3_reported", ESR3, "three-variable DAS28-ESR instead of DAS28-CRP"),
    "esr4 form": ("das28_crp3_reported", ESR4, "four-variable DAS28-ESR instead of DAS28-CRP"),
    "esr as crp": ("das28_crp3_reported", das28.das28_crp(9, 4, 20), "ESR value used as CRP"),
}
# Two radiographs per visit: grades 2, 3, 1 on one (sum 6 of 3) and 5, 0 on the other (5 of 2); 11 of 5 for the visit.
REPORTED_RAU: dict[str, tuple[float, str | None]] = {
    "scaled": (76.0, None),
    "nearly": (76.3, "rounding"),
    "sum": (6.0, "sum not scaled by 38 / n"),
    "visit": (83.6, "all joints of the visit"),
    "visit sum": (11.0, "sum of all joints of the visit, not scaled by 38 / n"),
    "of 32": (64.0, "scaled to 32 joints instead of 38"),
    "more": (100.0, "joints that were not delivered"),
    "less": (2.0, "unknown"),
}


def insert_reported_scores(connection: Connection) -> None:
    for patient, (column, score, _) in REPORTED_DAS28.items():
        activity(connection, patient, 0, **PARTS, **{column: score})
    activity(connection, "no parts", 0, das28_esr_reported=4.0)
    for patient, (score, _) in REPORTED_RAU.items():
        first, second = (radiograph(connection, patient, 0, f"{patient}-{number}") for number in (1, 2))
        consultation(connection, patient, 0, f"{patient}-1", sop_iuid=first, reported_rau=score)
        consultation(connection, patient, 0, f"{patient}-2", sop_iuid=second)
        for number, name, percents in ((1, first, (30.0, 50.0, 5.0)), (2, second, (100.0, 0.0))):
            for joint, percent in zip(COLUMNS[10 * number :], percents, strict=False):
                reading(connection, patient, f"{patient}-{number}", joint, percent, sop_iuid=name)
        withdrawn = {"sop_iuid": first, "withdrawn_on": BATCH}
        reading(connection, patient, f"{patient}-1", "wrist_left", 100.0, **withdrawn)


def insert_next_batch(connection: Connection) -> None:
    """Insert a second batch with a few records, and a later attempt that failed before it counted anything."""
    run = {"batch_date": NEXT_BATCH, "trigger": "cli", "triggered_by": "tester", "code_revision": "abc"}
    insert(connection, "scoring.run", run_id=str(UUID(int=2)), **run)
    for dataset, outcome, rule, n in (
        ("images", "received", "", 4),
        ("images", "scored", "", 2),
        ("images", "quarantined", "images.decodes", 1),
        ("images", "quarantined", "images.not_blank", 1),
        ("consultations", "received", "", 0),
    ):
        counts = {"dataset": dataset, "outcome": outcome, "rule": rule, "n": n}
        insert(connection, "scoring.run_count", run_id=str(UUID(int=2)), **counts)
    insert(connection, "scoring.run", run_id=str(UUID(int=3)), started_at="2100-01-01", **run)
    activity(connection, "late", 0, NEXT_BATCH, das28_esr_reported=3.0, esr=10.0)
    activity(connection, "late", 10, NEXT_BATCH, esr=10.0)
    for number in range(3):
        activity(connection, "late", 100 + number, NEXT_BATCH, **PARTS)
    name = radiograph(connection, "late", 0, batch=NEXT_BATCH)
    for joint in ("hand_left_1", "hand_left_2"):
        prediction(connection, name, joint, 10.0, NEXT_BATCH)
    consultation(connection, "late", 0, "late", sop_iuid=name, read_on=START, **origin(NEXT_BATCH))
    reading(connection, "late", "late", "hand_left_1", 10.0, sop_iuid=name)


def insert_lineage(connection: Connection) -> None:
    """Insert a visit with two radiographs that both show hand_left_1."""
    for name, joints in (("p-0", ("hand_left_1", "hand_left_2")), ("p-b", ("hand_left_1", "wrist_left"))):
        radiograph(connection, "p", 0, name)
        for joint in joints:
            prediction(connection, name, joint, 10.0)
    rau(connection, "p", 0, 10.0, n_scored=2)
    connection.exec_driver_sql("UPDATE scoring.rau_prediction SET n_scored = 3 WHERE scope = 'visit'")


@pytest.fixture(scope="module")
def filled(new_warehouse):
    with new_warehouse() as made:
        with made.engine(made.superuser_url).begin() as connection:
            connection.exec_driver_sql(PREPARE)
            for fill in (insert_readings, insert_reported_scores, insert_next_batch, insert_lineage):
                fill(connection)
        yield made


@pytest.fixture(scope="module")
def analyst(filled) -> Engine:
    return filled.engine(filled.analyst_url)


# ---- agreement


def test_agreement_equals_the_metrics(analyst):
    all_years = records(analyst, "SELECT * FROM analyst.agreement WHERE visit_year IS NULL")
    found = {(row["comparison"], row["joint_kind"]): row for row in all_years}
    percent = np.array(PERCENT_OF_GRADE)
    kinds = np.array([joint_by_column(joint).kind for joint in COLUMNS])
    late = {"human-human": [], "human-model": [(1, 1)]}
    for comparison, second in (("human-human", 1), ("human-model", 2)):
        for kind in {"all", *kinds} - {"wrist"}:
            pairs = [
                (grades[place, first], grades[place, second])
                for number, grades in enumerate(GRADES)
                for place in range(len(COLUMNS))
                if kind in ("all", kinds[place]) and not (kinds[place] == "wrist" and number >= 4)
                for first in ((0,) if comparison == "human-human" else (0, 1))
            ]
            if kind in ("all", "PIP"):
                pairs += late[comparison]
            first_grade, second_grade = (np.array(side) for side in zip(*pairs, strict=True))
            confusion = confusion_matrix(first_grade, second_grade)
            row = found[(comparison, kind)]
            difference = percent[second_grade] - percent[first_grade]
            assert (row["n_pairs"], row["suppressed"]) == (len(pairs), False)
            assert row["same_grade"] == pytest.approx(np.mean(first_grade == second_grade))
            assert row["within_one_grade"] == pytest.approx(np.mean(np.abs(first_grade - second_grade) <= 1))
            assert row["quadratic_weighted_kappa"] == pytest.approx(quadratic_weighted_kappa(confusion))
            assert row["mean_grade_difference"] == pytest.approx(np.mean(second_grade - first_grade))
            assert row["mean_difference"] == pytest.approx(difference.mean())
            assert row["loa_low"] == pytest.approx(difference.mean() - 1.96 * difference.std(ddof=1))
            assert row["trained_on_synthetic"] is (None if comparison == "human-human" else True)


def test_agreement_suppresses_figures_of_fewer_than_5_patients(analyst):
    assert rows(
        analyst,
        "SELECT comparison, n_pairs, n_patients, suppressed, same_grade, quadratic_weighted_kappa, mean_difference,"
        " loa_high FROM analyst.agreement WHERE joint_kind = 'wrist' AND visit_year IS NULL ORDER BY comparison",
    ) == [
        ("human-human", 8, 4, True, None, None, None, None),
        ("human-model", 16, 4, True, None, None, None, None),
    ]


# ---- batch_quality


def test_batch_quality_counts_received_rows_and_missing_values(analyst):
    found = {
        (dataset, measure if rule is None else rule): (n, n_total, proportion)
        for dataset, measure, rule, n, n_total, proportion in rows(
            analyst,
            "SELECT dataset, measure, rule, n, n_total, proportion FROM analyst.batch_quality"
            " WHERE batch_date = '2026-11-22'",
        )
    }
    assert found == {
        ("images", "received"): (4, 4, 1.0),
        ("images", "accepted"): (2, 4, 0.5),
        ("images", "quarantined"): (2, 4, 0.5),
        ("images", "images.decodes"): (1, 4, 0.25),
        ("images", "images.not_blank"): (1, 4, 0.25),
        ("images", "without reading"): (1, 2, 0.5),
        ("images", "without prediction"): (0, 2, 0.0),
        ("consultations", "received"): (0, 0, None),
        ("consultations", "accepted"): (0, 0, None),
        ("consultations", "quarantined"): (0, 0, None),
        ("consultations", "without radiograph"): (0, 1, 0.0),
        ("consultations", "without date of reading"): (0, 1, 0.0),
        ("consultations", "without reported Rau"): (1, 1, 1.0),
        ("consultations", "without readings"): (0, 1, 0.0),
        ("disease_activity", "without tender_28"): (2, 5, 0.4),
        ("disease_activity", "without swollen_28"): (2, 5, 0.4),
        ("disease_activity", "without esr"): (0, 5, 0.0),
        ("disease_activity", "without crp"): (2, 5, 0.4),
        ("disease_activity", "without patient_global"): (2, 5, 0.4),
        ("disease_activity", "without physician_global"): (5, 5, 1.0),
        ("disease_activity", "without computed DAS28"): (2, 5, 0.4),
        ("disease_activity", "without any DAS28"): (1, 5, 0.2),
    }


# ---- score_check


def test_score_check_explains_reported_das28(analyst):
    query = "SELECT * FROM analyst.score_check WHERE score <> 'rau'"
    found = {row["patient_id"]: row for row in records(analyst, query)}
    assert {patient: found[patient]["likely_cause"] for patient in REPORTED_DAS28} == {
        patient: cause for patient, (_, _, cause) in REPORTED_DAS28.items()
    }
    assert "no parts" not in found
    assert found["esr3"]["difference"] == pytest.approx(ESR3 - ESR4)
    assert found["esr3"]["explained_score"] == pytest.approx(ESR3)
    assert {patient for patient, row in found.items() if row["agrees"]} == {"exact", "rounded", "crp exact"}


def test_score_check_explains_reported_rau_scores(analyst):
    query = "SELECT * FROM analyst.score_check WHERE score = 'rau' AND id_x LIKE '%-1'"
    found = {row["patient_id"]: row for row in records(analyst, query)}
    assert {patient: row["likely_cause"] for patient, row in found.items()} == {
        patient: cause for patient, (_, cause) in REPORTED_RAU.items()
    }
    assert {(row["recomputed"], row["n_joints"]) for row in found.values()} == {(76.0, 3)}


# ---- rau_lineage


def test_rau_lineage_names_images_model_code_and_run(filled, analyst):
    images = "SELECT sop_iuid || ' ' || joint, image_sha256 FROM imaging.joint_image WHERE sop_iuid LIKE 'p-_'"
    sha256 = dict(rows(filled.engine(filled.superuser_url), images))
    query = "SELECT * FROM analyst.rau_lineage WHERE patient_id = 'p'"
    found = {row["scope"]: row for row in records(analyst, query)}
    of_radiograph = [sha256["p-0 hand_left_1"], sha256["p-0 hand_left_2"]]
    assert found["radiograph"]["image_sha256s"] == of_radiograph
    # Both radiographs show hand_left_1 and have two joints, so the smaller UID applies.
    assert found["visit"]["image_sha256s"] == [*of_radiograph, sha256["p-b wrist_left"]]
    for row in found.values():
        assert row["image_count_matches"]
        assert row["is_champion"]
        assert row["trained_on_synthetic"]
        assert (row["code_revision"], row["run_id"], row["weights_sha256"]) == ("abc", RUN, "a" * 64)
        assert row["preprocessing_version"] == PREPROCESSING
