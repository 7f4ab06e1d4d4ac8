"""The analysts' views on small hand-made data whose right answer is known by hand."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy as sa
from scipy import stats
from sqlalchemy.engine import Connection, Engine

from scoring.clinical import das28, ratingen
from scoring.clinical.joints import COLUMNS, joint_by_column
from scoring.clinical.rau import HUMAN_SDC, rau_distribution
from scoring.settings import sql_dir
from scoring.training.evaluation.metrics import confusion_matrix, quadratic_weighted_kappa

RUN = UUID(int=1)
NIGHT, NEXT_NIGHT = date(2026, 11, 21), date(2026, 11, 22)
START = date(2020, 1, 1)
UNIFORM = [1 / 6] * 6

PERCENT_OF_GRADE = (0.0, 10.0, 30.0, 50.0, 70.0, 90.0)

ARRANGE = """
INSERT INTO scoring.model_version
SELECT version, 'a', 128, 'grey128-v1', repeat('a', 64), '{}', TRUE FROM unnest(ARRAY['champion', 'former']) AS version;
INSERT INTO scoring.promotion (version, promoted_by, reason) VALUES ('champion', 'a steward', 'first');
INSERT INTO scoring.activation (promotion_id, n_missing) SELECT promotion_id, 0 FROM scoring.promotion;
INSERT INTO scoring.run (run_id, batch_date, trigger, triggered_by, code_revision)
VALUES ('00000000-0000-0000-0000-000000000001', '2026-11-21', 'cli', 'tester', 'abc');
"""


def put(connection: Connection, table: str, **values: object) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)  # noqa: S608 - our own names


def origin(night: date = NIGHT) -> dict[str, object]:
    return {"batch_date": night, "first_batch_date": night, "run_id": str(RUN)}


def radiograph(
    connection: Connection, patient: str, days: int, sop_iuid: str | None = None, night: date = NIGHT
) -> str:
    name = sop_iuid or f"{patient}-{days}"
    put(
        connection,
        "registry.radiograph",
        sop_iuid=name,
        patient_id=patient,
        visit_date=START + timedelta(days=days),
        body_part="HAND_LEFT",
        **origin(night),
    )
    return name


def consultation(connection: Connection, patient: str, days: int, id_x: str, **values: object) -> None:
    put(
        connection,
        "registry.consultation",
        id_x=id_x,
        patient_id=patient,
        visit_date=START + timedelta(days=days),
        source_file="c.csv",
        row_number=2,
        **{**origin(), **values},
    )


def reading(connection: Connection, patient: str, id_x: str, joint: str, percent: float, **values: object) -> None:
    put(
        connection,
        "registry.joint_reading",
        id_x=id_x,
        joint=joint,
        patient_id=patient,
        reading_percent=percent,
        source_file="c.csv",
        row_number=2,
        **origin(),
        **values,
    )


def activity(connection: Connection, patient: str, days: int, night: date = NIGHT, **measures: float) -> None:
    """Disease activity; what can be computed from the components is, as the job does."""
    tender, swollen, esr, crp, patient_global = (
        np.float64(measures.get(name, np.nan)) for name in ("tender_28", "swollen_28", "esr", "crp", "patient_global")
    )
    computed = {
        "das28_esr4": das28.das28_esr(tender, swollen, esr, patient_global),
        "das28_esr3": das28.das28_esr(tender, swollen, esr),
        "das28_crp4": das28.das28_crp(tender, swollen, crp, patient_global),
        "das28_crp3": das28.das28_crp(tender, swollen, crp),
    }
    put(
        connection,
        "registry.disease_activity",
        patient_id=patient,
        visit_date=START + timedelta(days=days),
        source_file="d.csv",
        row_number=2,
        **origin(night),
        **measures,
        **{name: float(value) for name, value in computed.items() if not np.isnan(value)},
    )


def prediction(connection: Connection, sop_iuid: str, joint: str, percent: float, night: date = NIGHT) -> str:
    sha256 = f"{abs(hash((sop_iuid, joint))):064x}"
    put(
        connection,
        "imaging.joint_image",
        sop_iuid=sop_iuid,
        joint=joint,
        image_sha256=sha256,
        file_name="f",
        uri="u",
        size_bytes=1,
        width=9,
        height=9,
        color_space="Gray",
        brightness=1,
        contrast=1,
        batch_date=night,
        run_id=str(RUN),
    )
    put(
        connection,
        "scoring.joint_prediction",
        image_sha256=sha256,
        model_version="champion",
        preprocessing_version="grey128-v1",
        sop_iuid=sop_iuid,
        joint=joint,
        predicted_percent=percent,
        predicted_median=percent,
        predicted_q05=percent,
        predicted_q95=percent,
        predicted_grade=int(ratingen.grade(percent)),
        grade_probability=UNIFORM,
        engine="e",
        code_revision="abc",
        run_id=str(RUN),
        batch_date=night,
    )
    return sha256


def rau(connection: Connection, patient: str, days: int, expected: float, **values: object) -> None:
    """Predicted Rau score of the only radiograph of a visit, and of the visit."""
    for scope, sop_iuid in (("radiograph", f"{patient}-{days}"), ("visit", "")):
        put(
            connection,
            "scoring.rau_prediction",
            **{
                "scope": scope,
                "patient_id": patient,
                "visit_date": START + timedelta(days=days),
                "sop_iuid": sop_iuid,
                "model_version": "champion",
                "preprocessing_version": "grey128-v1",
                "rau_expected": expected,
                "rau_median": expected,
                "rau_q05": expected - 5,
                "rau_q95": expected + 5,
                "rau_from_grades": expected,
                "n_scored": 10,
                **origin(),
                **values,
            },
        )


def damage(connection: Connection) -> None:
    """near: three radiographs with activity around them; unnamed: a score that was reported without a radiograph."""
    for days, expected in ((0, 10.0), (366, 20.0), (731, 12.0)):
        radiograph(connection, "near", days)
        rau(connection, "near", days, expected, n_scored=9 if days == 731 else 10)
    # The former champion said something else; it must not get into the series.
    rau(connection, "near", 366, 80.0, model_version="former")
    consultation(connection, "near", 0, "n1", sop_iuid="near-0", reported_rau=12.0, read_on=date(2020, 2, 1))
    consultation(connection, "near", 0, "n2", sop_iuid="near-0", reported_rau=13.0, read_on=date(2021, 2, 1))
    consultation(connection, "near", 731, "n3", sop_iuid="near-731", reported_rau=3.0)
    consultation(connection, "unnamed", 0, "u1", reported_rau=30.0)
    for days in (-12, 19, 336, 396, 1200):
        activity(connection, "near", days, das28_esr_reported=3.0 + days / 1000)
    # The nearest visit by date has no DAS28 at all.
    activity(connection, "near", 1, esr=20.0)


def between(connection: Connection) -> None:
    """Radiographs with activity whose area is computed by hand below."""
    cases: dict[str, tuple[tuple[int, int], dict[int, float]]] = {
        "usual": ((0, 365), {0: 2.0, 182: 4.0, 365: 3.0}),
        "cut": ((0, 10), {-10: 1.0, 20: 4.0}),
        "short": ((0, 100), {0: 3.0, 79: 3.0}),
        "enough": ((0, 100), {0: 3.0, 80: 5.0}),
        "gap": ((0, 549), {0: 3.0, 549: 3.0}),
    }
    for patient, (radiographs, course) in cases.items():
        for days in radiographs:
            radiograph(connection, patient, days)
            rau(connection, patient, days, 10.0)
        for days, value in course.items():
            activity(connection, patient, days, das28_esr_reported=value)
    activity(connection, "usual", 90, das28_crp3_reported=5.0)


GRID = [0.0, 0.6, 1.2, 1.9, 2.5, 2.6, 3.1, 3.2, 3.21, 3.8, 4.4, 4.41, 5.0, 5.1, 5.11, 5.7, 5.71, 6.3, 6.31, 8.0, 10.0]


def responses(connection: Connection) -> None:
    connection.execute(
        sa.text(
            "INSERT INTO registry.disease_activity (patient_id, visit_date, das28_crp3_reported, batch_date,"
            " first_batch_date, run_id, source_file, row_number)"
            " SELECT 'grid ' || b || ' ' || f, start, value, :night, :night, :run_id, 'd.csv', 2"
            " FROM unnest(CAST(:grid AS float8[])) AS b CROSS JOIN unnest(CAST(:grid AS float8[])) AS f"
            " CROSS JOIN LATERAL (VALUES (DATE '2000-01-01', b), (DATE '2000-07-01', f)) AS v (start, value)"
        ),
        {"grid": GRID, "night": NIGHT, "run_id": str(RUN)},
    )


GRADES = np.random.default_rng(5).integers(0, 6, (7, len(COLUMNS), 3))
GRADES[..., 1] = np.clip(GRADES[..., 0] + GRADES[..., 1] // 3 - 1, 0, 5)


def readings(connection: Connection) -> None:
    """Seven patients with a radiograph on which two readers and the model have graded every joint; wrists of four only."""
    for number, patient_grades in enumerate(GRADES):
        patient = f"read-{number}"
        name = radiograph(connection, patient, 0)
        for reader in range(2):
            read_on = START + timedelta(days=10 * (reader + 1))
            consultation(connection, patient, 0, f"{patient}-{reader}", sop_iuid=name, read_on=read_on)
        for joint, (first, second, by_model) in zip(COLUMNS, patient_grades, strict=True):
            if joint.startswith("wrist") and number >= 4:
                continue
            prediction(connection, name, joint, PERCENT_OF_GRADE[by_model])
            for reader, grade in enumerate((first, second)):
                reading(
                    connection,
                    patient,
                    f"{patient}-{reader}",
                    joint,
                    PERCENT_OF_GRADE[grade],
                    sop_iuid=name,
                    read_on=START + timedelta(days=10 * (reader + 1)),
                )
    rau(connection, "read-0", 0, 150.0, n_scored=len(COLUMNS))
    # Taken back: no part of any agreement.
    consultation(connection, "read-0", 0, "read-0-2", sop_iuid="read-0-0")
    reading(
        connection, "read-0", "read-0-2", "hand_left_1", 90.0, sop_iuid="read-0-0", withdrawn_on=NIGHT, read_on=START
    )


PARTS = {"tender_28": 9.0, "swollen_28": 4.0, "esr": 20.0, "crp": 8.0, "patient_global": 50.0}
ESR4, ESR3 = das28.das28_esr(9, 4, 20, 50), das28.das28_esr(9, 4, 20)
CRP4, CRP3 = das28.das28_crp(9, 4, 8, 50), das28.das28_crp(9, 4, 8)
REPORTED: dict[str, tuple[dict[str, float], str | None]] = {
    "exact": ({"das28_esr_reported": ESR4}, None),
    "rounded": ({"das28_esr_reported": round(ESR4, 1)}, "rounding"),
    "esr3": ({"das28_esr_reported": ESR3}, "three variables instead of four"),
    "crp4": ({"das28_esr_reported": CRP4}, "DAS28-CRP of four variables in the place of DAS28-ESR"),
    "crp3": ({"das28_esr_reported": CRP3}, "DAS28-CRP of three variables in the place of DAS28-ESR"),
    "crp as esr": ({"das28_esr_reported": das28.das28_esr(9, 4, 8, 50)}, "value of CRP in the place of ESR"),
    "nothing": ({"das28_esr_reported": 9.9}, "unknown"),
    "crp exact": ({"das28_crp3_reported": CRP3}, None),
    "dl": ({"das28_crp3_reported": das28.das28_crp(9, 4, 80)}, "CRP delivered in mg/dL"),
    "from dl": ({"das28_crp3_reported": das28.das28_crp(9, 4, 0.8)}, "score computed from CRP in mg/dL"),
    "four": ({"das28_crp3_reported": CRP4}, "four variables instead of three"),
    "esr form": ({"das28_crp3_reported": ESR3}, "DAS28-ESR of three variables in the place of DAS28-CRP"),
    "esr4 form": ({"das28_crp3_reported": ESR4}, "DAS28-ESR of four variables in the place of DAS28-CRP"),
    "esr as crp": ({"das28_crp3_reported": das28.das28_crp(9, 4, 20)}, "value of ESR in the place of CRP"),
}

# Two radiographs of a visit: grades 2, 3, 1 on one (sum 6 of 3) and 5, 0 on the other (5 of 2); the visit has 11 of 5.
RAU_REPORTED: dict[str, tuple[float, str | None]] = {
    "scaled": (76.0, None),
    "nearly": (76.3, "rounding"),
    "sum": (6.0, "sum not scaled by 38 / n"),
    "visit": (83.6, "all joints of the visit"),
    "visit sum": (11.0, "sum of all joints of the visit, not scaled by 38 / n"),
    "of 32": (64.0, "scaled to 32 joints instead of 38"),
    "more": (100.0, "other joints than were delivered"),
    "less": (2.0, "unknown"),
}


def reported(connection: Connection) -> None:
    for patient, (scores, _) in REPORTED.items():
        activity(connection, patient, 0, **PARTS, **scores)
    activity(connection, "no parts", 0, das28_esr_reported=4.0)
    for patient, (score, _) in RAU_REPORTED.items():
        first, second = (radiograph(connection, patient, 0, f"{patient}-{number}") for number in (1, 2))
        consultation(connection, patient, 0, f"{patient}-1", sop_iuid=first, reported_rau=score)
        consultation(connection, patient, 0, f"{patient}-2", sop_iuid=second)
        for number, name, percents in ((1, first, (30.0, 50.0, 5.0)), (2, second, (100.0, 0.0))):
            for joint, percent in zip(COLUMNS[10 * number :], percents, strict=False):
                reading(connection, patient, f"{patient}-{number}", joint, percent, sop_iuid=name)
        reading(
            connection, patient, f"{patient}-1", "wrist_left", 100.0, sop_iuid=first, withdrawn_on=NIGHT
        )  # no longer stands


def next_night(connection: Connection) -> None:
    """What the second night brought, in small numbers."""
    run_id = UUID(int=2)
    put(
        connection,
        "scoring.run",
        run_id=str(run_id),
        batch_date=NEXT_NIGHT,
        trigger="cli",
        triggered_by="tester",
        code_revision="abc",
    )
    for dataset, outcome, rule, n in (
        ("images", "landed", "", 4),
        ("images", "scored", "", 2),
        ("images", "quarantined", "images.decodes", 1),
        ("images", "quarantined", "images.not_blank", 1),
        ("consultations", "landed", "", 0),
    ):
        put(connection, "scoring.run_count", run_id=str(run_id), dataset=dataset, outcome=outcome, rule=rule, n=n)
    # A later attempt that failed before it kept any books.
    put(
        connection,
        "scoring.run",
        run_id=str(UUID(int=3)),
        batch_date=NEXT_NIGHT,
        started_at="2100-01-01",
        trigger="cli",
        triggered_by="tester",
        code_revision="abc",
    )
    activity(connection, "late", 0, NEXT_NIGHT, das28_esr_reported=3.0, esr=10.0)
    activity(connection, "late", 10, NEXT_NIGHT, esr=10.0)
    for number in range(3):
        activity(connection, "late", 100 + number, NEXT_NIGHT, **PARTS)
    name = radiograph(connection, "late", 0, night=NEXT_NIGHT)
    for joint in ("hand_left_1", "hand_left_2"):
        prediction(connection, name, joint, 10.0, NEXT_NIGHT)
    consultation(connection, "late", 0, "late", sop_iuid=name, read_on=START, **origin(NEXT_NIGHT))
    reading(connection, "late", "late", "hand_left_1", 10.0, sop_iuid=name)


@pytest.fixture(scope="module")
def filled(new_warehouse) -> Iterator[Any]:
    """A warehouse with all of the above."""
    with new_warehouse() as made:
        with made.engine(made.superuser_url).begin() as connection:
            connection.exec_driver_sql(ARRANGE)
            for arrange in (damage, between, responses, readings, reported, next_night):
                arrange(connection)
        yield made


@pytest.fixture(scope="module")
def analyst(filled) -> Engine:
    return filled.engine(filled.analyst_url)


@pytest.fixture(scope="module")
def administrator(filled) -> Engine:
    return filled.engine(filled.superuser_url)


def rows(engine: Engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def table(engine: Engine, query: str) -> list[dict]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


# ---- damage and activity


def test_each_visit_meets_the_nearest_activity_that_has_a_das28_once(analyst):
    found = rows(
        analyst,
        "SELECT visit_date - DATE '2020-01-01', reported_rau, rau_expected, lag_days, das28_esr4, das28_esr4_origin,"
        " das28_crp3, window_days FROM analyst.damage_and_activity WHERE patient_id = 'near' ORDER BY 1",
    )
    assert found == [
        (0, 13.0, 10.0, -12, 2.988, "reported", None, 90),
        (366, None, 20.0, -30, 3.336, "reported", None, 90),  # as near before as after: the earlier
        (731, 3.0, 12.0, None, None, None, None, 90),
    ]


def test_a_score_without_a_radiograph_is_not_lost(analyst):
    assert rows(
        analyst,
        "SELECT n_radiographs, reported_rau, rau_expected, lag_days FROM analyst.damage_and_activity"
        " WHERE patient_id = 'unnamed'",
    ) == [(0, 30.0, None, None)]


def test_no_visit_is_there_twice(analyst):
    assert (
        rows(
            analyst,
            "SELECT patient_id, visit_date FROM analyst.damage_and_activity GROUP BY 1, 2 HAVING count(*) > 1",
        )
        == []
    )


# ---- progression


def test_progression_of_predicted_and_reported_scores(analyst):
    predicted = table(
        analyst,
        "SELECT * FROM analyst.rau_progression WHERE patient_id = 'near' AND damage = 'predicted_rau' ORDER BY to_date",
    )
    first, second = predicted
    sd = np.hypot(5, 5) / stats.norm.ppf(0.95)
    assert (first["rau_before"], first["rau_after"], first["rau_change"]) == (10.0, 20.0, 10.0)
    assert first["change_per_year"] == pytest.approx(10 * 365.25 / 366)
    assert first["smallest_detectable_change"] == HUMAN_SDC
    assert first["course"] == "progression"
    assert first["probability_of_progression"] == pytest.approx(stats.norm.cdf(10 / sd), abs=1e-6)
    assert first["probability_of_detectable_progression"] == pytest.approx(stats.norm.cdf(3.7 / sd), abs=1e-6)
    assert first["probability_of_detectable_improvement"] == pytest.approx(stats.norm.cdf(-16.3 / sd), abs=1e-6)
    # A fall, but of a visit with another number of joints.
    assert (second["rau_change"], second["same_joint_count"], second["course"]) == (-8.0, False, None)
    assert {row["model_version"] for row in predicted} == {"champion"}
    assert rows(
        analyst,
        "SELECT from_date, to_date, rau_change, course, probability_of_progression FROM analyst.rau_progression"
        " WHERE patient_id = 'near' AND damage = 'reported_rau'",
    ) == [(START, START + timedelta(days=731), -10.0, "improvement", None)]


def test_the_normal_distribution_of_the_database(administrator):
    z = np.concatenate([np.linspace(-9, 9, 181), [-1e300, 1e300]])
    with administrator.connect() as connection:
        found = connection.scalar(
            sa.text(
                "SELECT array_agg(analytics.normal_cdf(z) ORDER BY place)"
                " FROM unnest(CAST(:z AS float8[])) WITH ORDINALITY AS t (z, place)"
            ),
            {"z": z.tolist()},
        )
    assert np.max(np.abs(np.array(found) - stats.norm.cdf(z))) < 7.5e-8


def test_the_probability_of_progression_is_near_that_of_the_whole_distributions():
    """Normal scores, as the view assumes, against the exact difference of two convolved distributions of ten joints."""
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(60):
        masses, moments = [], []
        for _ in range(2):
            grade = rng.dirichlet(rng.choice([[8, 2, 1, 0.5, 0.3, 0.2], [3, 3, 2, 1, 1, 1]]), 10)
            support, mass = rau_distribution(grade)
            low, high = (support[np.searchsorted(np.cumsum(mass), level)] for level in (0.05, 0.95))
            masses.append(mass)
            moments.append((float(support @ mass), (high - low) / (2 * stats.norm.ppf(0.95))))
        worse = np.subtract.outer(support, support).T
        joint = np.outer(*masses)
        exact = float((joint * ((worse > 0) + 0.5 * (worse == 0))).sum())
        (before, sd_before), (after, sd_after) = moments
        errors.append(abs(stats.norm.cdf((after - before) / np.hypot(sd_before, sd_after)) - exact))
    assert np.median(errors) < 0.01
    assert max(errors) < 0.03


# ---- activity between radiographs


def test_activity_is_integrated_by_trapezoids(analyst):
    found = {
        row["patient_id"]: row
        for row in table(
            analyst, "SELECT * FROM analyst.activity_between_radiographs WHERE form = 'das28_esr4' AND years < 1.6"
        )
    }
    usual = found["usual"]
    mean = (182 * 3.0 + 183 * 3.5) / 365
    assert usual["mean_das28"] == pytest.approx(mean)
    assert usual["das28_years"] == pytest.approx(mean * 365 / 365.25)
    assert (usual["n_activity_visits"], usual["n_reported"], usual["covered_share"]) == (3, 3, 1.0)
    # From 1.0 to 4.0 within 30 days; the radiographs lie on day 10 and 20 of these.
    assert found["cut"]["mean_das28"] == pytest.approx(2.5)
    assert (found["cut"]["n_activity_visits"], found["cut"]["covered_share"]) == (0, 1.0)
    assert (found["short"]["covered_share"], found["short"]["mean_das28"]) == (pytest.approx(0.79), None)
    assert (found["enough"]["covered_share"], found["enough"]["mean_das28"]) == (pytest.approx(0.8), 4.0)
    # No line is drawn over so long a gap.
    assert (found["gap"]["n_activity_visits"], found["gap"]["covered_share"]) == (2, 0.0)
    assert found["gap"]["das28_years"] is None


def test_forms_of_das28_are_integrated_apart(analyst):
    assert rows(
        analyst,
        "SELECT form, n_activity_visits, mean_das28 FROM analyst.activity_between_radiographs"
        " WHERE patient_id = 'usual' AND form <> 'das28_esr4' ORDER BY form",
    ) == [("das28_crp3", 1, None), ("das28_crp4", 0, None), ("das28_esr3", 0, None)]


def test_every_interval_of_progression_has_its_activity_once_a_form(analyst):
    assert rows(
        analyst,
        "SELECT DISTINCT count(*) FROM analyst.rau_progression AS p INNER JOIN analyst.activity_between_radiographs AS a"
        " USING (patient_id, damage, from_date, to_date) GROUP BY p.patient_id, p.damage, p.from_date",
    ) == [(4,)]


# ---- response


def test_the_response_is_that_of_python_on_a_grid(analyst):
    found = rows(
        analyst,
        "SELECT baseline_das28, das28, response, form FROM analyst.eular_response WHERE patient_id LIKE 'grid %'",
    )
    assert len(found) == len(GRID) ** 2
    baseline, later, response, form = (list(column) for column in zip(*found, strict=True))
    assert response == das28.eular_response(baseline, later).tolist()
    assert set(response) == {"good", "moderate", "none"}
    assert set(form) == {"das28_crp3"}


# ---- timeline


def test_a_timeline_reads_from_top_to_bottom(analyst):
    found = rows(
        analyst,
        "SELECT event_date - DATE '2020-01-01', kind, description, points FROM analyst.patient_timeline"
        " WHERE patient_id = 'near' ORDER BY event_date, place, id_x",
    )
    assert [row[:3] for row in found[:5]] == [
        (-12, "activity", "das28_esr4 2.99, low (reported)"),
        (0, "radiograph", "radiograph HAND_LEFT"),
        (0, "prediction", "predicted Rau 10.0 (90 % from 5.0 to 15.0), 10 joints, extrapolated"),
        (19, "activity", "das28_esr4 3.02, low (reported)"),
        (31, "reported_rau", "Rau 12 reported for the visit of 2020-01-01"),
    ]
    assert [row for row in found if row[1] == "reported_rau"] == [
        (31, "reported_rau", "Rau 12 reported for the visit of 2020-01-01", 12.0),
        (397, "reported_rau", "Rau 13 reported for the visit of 2020-01-01", 13.0),
        (731, "reported_rau", "Rau 3 reported for the visit of 2022-01-01", 3.0),
    ]
    reading = rows(analyst, "SELECT points, n_joints FROM analyst.patient_timeline WHERE id_x = 'scaled-1'")
    assert reading == [(76.0, 3), (76.0, None)]


# ---- agreement


def test_agreement_is_that_of_the_metrics(analyst):
    all_years = table(analyst, "SELECT * FROM analyst.agreement WHERE visit_year IS NULL")
    found = {(row["comparison"], row["joint_kind"]): row for row in all_years}
    kinds = np.array([joint_by_column(joint).kind for joint in COLUMNS])
    percent = np.array(PERCENT_OF_GRADE)
    late = {"human-human": [], "human-model": [(1, 1)]}
    for comparison, second in (("human-human", [1]), ("human-model", [2])):
        for kind in {"all", *kinds} - {"wrist"}:
            pairs = [
                (grades[place, first], grades[place, other])
                for number, grades in enumerate(GRADES)
                for place in range(len(COLUMNS))
                if kind in ("all", kinds[place]) and not (kinds[place] == "wrist" and number >= 4)
                for first in ((0,) if comparison == "human-human" else (0, 1))
                for other in second
            ]
            if kind in ("all", "PIP"):
                pairs += late[comparison]
            first_grade, second_grade = (np.array(side) for side in zip(*pairs, strict=True))
            confusion = confusion_matrix(first_grade, second_grade)
            row = found[(comparison, kind)]
            difference = percent[second_grade] - percent[first_grade]
            assert row["n_pairs"] == len(pairs)
            assert row["suppressed"] is False
            assert row["same_grade"] == pytest.approx(np.mean(first_grade == second_grade))
            assert row["within_one_grade"] == pytest.approx(np.mean(np.abs(first_grade - second_grade) <= 1))
            assert row["quadratic_weighted_kappa"] == pytest.approx(quadratic_weighted_kappa(confusion))
            assert row["mean_grade_difference"] == pytest.approx(np.mean(second_grade - first_grade))
            assert row["mean_difference"] == pytest.approx(difference.mean())
            assert row["loa_low"] == pytest.approx(difference.mean() - 1.96 * difference.std(ddof=1))
            assert row["trained_on_synthetic"] is (None if comparison == "human-human" else True)


def test_agreement_on_few_patients_is_suppressed(analyst):
    assert rows(
        analyst,
        "SELECT comparison, n_pairs, n_patients, suppressed, same_grade, quadratic_weighted_kappa, mean_difference,"
        " loa_high FROM analyst.agreement WHERE joint_kind = 'wrist' AND visit_year IS NULL ORDER BY comparison",
    ) == [
        ("human-human", 8, 4, True, None, None, None, None),
        ("human-model", 16, 4, True, None, None, None, None),
    ]


# ---- quality of nights


def test_a_night_says_what_came_and_what_it_lacks(analyst):
    found = {
        (dataset, measure if rule is None else rule): (n, n_of, proportion)
        for dataset, measure, rule, n, n_of, proportion in rows(
            analyst,
            "SELECT dataset, measure, rule, n, n_of, proportion FROM analyst.batch_quality WHERE night = '2026-11-22'",
        )
    }
    assert found == {
        ("images", "landed"): (4, 4, 1.0),
        ("images", "accepted"): (2, 4, 0.5),
        ("images", "quarantined"): (2, 4, 0.5),
        ("images", "images.decodes"): (1, 4, 0.25),
        ("images", "images.not_blank"): (1, 4, 0.25),
        ("images", "without reading"): (1, 2, 0.5),
        ("images", "without prediction"): (0, 2, 0.0),
        ("consultations", "landed"): (0, 0, None),
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


# ---- reported scores


def test_reported_das28_are_checked_and_explained(analyst):
    found = {row["patient_id"]: row for row in table(analyst, "SELECT * FROM analyst.score_check WHERE score <> 'rau'")}
    assert {patient: found[patient]["likely_cause"] for patient in REPORTED} == {
        patient: cause for patient, (_, cause) in REPORTED.items()
    }
    assert "no parts" not in found
    assert found["esr3"]["difference"] == pytest.approx(ESR3 - ESR4)
    assert found["esr3"]["explained"] == pytest.approx(ESR3)
    assert [patient for patient, row in found.items() if row["agrees"]] == [
        patient for patient in found if patient in {"exact", "rounded", "crp exact"}
    ]


def test_reported_rau_scores_are_checked_and_explained(analyst):
    found = {
        row["patient_id"]: row
        for row in table(analyst, "SELECT * FROM analyst.score_check WHERE score = 'rau' AND id_x LIKE '%-1'")
    }
    assert {patient: row["likely_cause"] for patient, row in found.items()} == {
        patient: cause for patient, (_, cause) in RAU_REPORTED.items()
    }
    assert {(row["recomputed"], row["n_joints"]) for row in found.values()} == {(76.0, 3)}


# ---- worked queries


def test_worked_queries_run_on_this_warehouse(analyst):
    """All of them as the analyst; whether those of the last year find something is asked of the synthetic warehouse."""
    answers = {}
    with analyst.connect() as connection:
        for query in sorted((sql_dir() / "queries").glob("*.sql")):
            cursor = connection.connection.driver_connection.cursor()
            cursor.execute(query.read_text())
            answers[query.stem] = len(cursor.fetchall())
    of_these_views = {
        "eular_response",
        "quality_of_nights",
    }
    assert [name for name in sorted(of_these_views) if not answers[name]] == []


# ---- lineage


def test_a_rau_score_names_its_images_model_code_and_run(new_warehouse):
    with new_warehouse() as made:
        with made.engine(made.superuser_url).begin() as connection:
            connection.exec_driver_sql(ARRANGE)
            for name, joints in (("p-0", ("hand_left_1", "hand_left_2")), ("p-b", ("hand_left_1", "wrist_left"))):
                radiograph(connection, "p", 0, name)
                for joint in joints:
                    prediction(connection, name, joint, 10.0)
            rau(connection, "p", 0, 10.0, n_scored=2)
            connection.exec_driver_sql("UPDATE scoring.rau_prediction SET n_scored = 3 WHERE scope = 'visit'")
            sha256 = {
                (sop_iuid, joint): value
                for sop_iuid, joint, value in connection.exec_driver_sql(
                    "SELECT sop_iuid, joint, image_sha256 FROM imaging.joint_image"
                )
            }
        found = {
            row["scope"]: row
            for row in table(made.engine(made.analyst_url), "SELECT * FROM analyst.rau_lineage WHERE patient_id = 'p'")
        }
        radiograph_images = [sha256["p-0", "hand_left_1"], sha256["p-0", "hand_left_2"]]
        assert found["radiograph"]["image_sha256s"] == radiograph_images
        # Both radiographs show hand_left_1 and have two joints: the smaller radiograph id counts.
        assert found["visit"]["image_sha256s"] == [*radiograph_images, sha256["p-b", "wrist_left"]]
        for row in found.values():
            assert row["is_current"]
            assert row["is_champion"]
            assert row["trained_on_synthetic"]
            assert (row["code_revision"], row["run_id"], row["weights_sha256"]) == ("abc", RUN, "a" * 64)
            assert row["preprocessing_version"] == "grey128-v1"
