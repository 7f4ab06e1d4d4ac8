"""Views of damage and disease activity over time, on small data with results computed by hand."""

import numpy as np
import pytest
import sqlalchemy as sa
from scipy import stats
from sqlalchemy.engine import Connection, Engine

from scoring.clinical import das28
from scoring.clinical.rau import HUMAN_SDC, rau_distribution
from tests.lib.inserted import (
    FORMER,
    PREPARE,
    START,
    activity,
    consultation,
    day,
    radiograph,
    rau,
    reading,
)
from tests.lib.staged import BATCH, RUN
from tests.lib.warehouse import frame, records, rows


def insert_near(connection: Connection) -> None:
    """Insert a patient with three radiographs and activity around them, and one with a score without a radiograph."""
    for days, expected in ((0, 10.0), (366, 20.0), (731, 12.0)):
        radiograph(connection, "near", days)
        rau(connection, "near", days, expected, n_scored=9 if days == 731 else 10)
    # The prediction of the previous champion must not appear in the series.
    rau(connection, "near", 366, 80.0, model_version=FORMER)
    consultation(connection, "near", 0, "n1", sop_iuid="near-0", reported_rau=12.0, read_on=day(31))
    consultation(connection, "near", 0, "n2", sop_iuid="near-0", reported_rau=13.0, read_on=day(397))
    consultation(connection, "near", 731, "n3", sop_iuid="near-731", reported_rau=3.0)
    consultation(connection, "unnamed", 0, "u1", reported_rau=30.0)
    for days in (-12, 19, 336, 396, 1200):
        activity(connection, "near", days, das28_esr_reported=3.0 + days / 1000)
    # The nearest visit has no DAS28.
    activity(connection, "near", 1, esr=20.0)
    # Three joints read on one radiograph: grades 2, 3 and 1.
    consultation(connection, "read", 0, "r1", sop_iuid=radiograph(connection, "read", 0))
    for joint, percent in (("hand_left_1", 30.0), ("hand_left_2", 50.0), ("hand_left_3", 5.0)):
        reading(connection, "read", "r1", joint, percent, sop_iuid="read-0")
    reading(connection, "read", "r1", "wrist_left", 100.0, sop_iuid="read-0", withdrawn_on=BATCH)


def insert_intervals(connection: Connection) -> None:
    """Insert intervals between two radiographs whose time-integrated activity is computed by hand below."""
    cases: dict[str, tuple[tuple[int, int], dict[int, float]]] = {
        "usual": ((0, 365), {0: 2.0, 182: 4.0, 365: 3.0}),
        "cut": ((0, 10), {-10: 1.0, 20: 4.0}),
        "short": ((0, 100), {0: 3.0, 79: 3.0}),
        "enough": ((0, 100), {0: 3.0, 80: 5.0}),
        "gap": ((0, 549), {0: 3.0, 549: 3.0}),
    }
    for patient, (radiographs, measured) in cases.items():
        for days in radiographs:
            radiograph(connection, patient, days)
            rau(connection, patient, days, 10.0)
        for days, value in measured.items():
            activity(connection, patient, days, das28_esr_reported=value)
    activity(connection, "usual", 90, das28_crp3_reported=5.0)


GRID = [0.0, 0.6, 1.2, 1.9, 2.5, 2.6, 3.1, 3.2, 3.21, 3.8, 4.4, 4.41, 5.0, 5.1, 5.11, 5.7, 5.71, 6.3, 6.31, 8.0, 10.0]


def insert_responses(connection: Connection) -> None:
    """Insert a patient for every pair of baseline and later DAS28."""
    connection.execute(
        sa.text(
            "INSERT INTO registry.disease_activity (patient_id, visit_date, das28_crp3_reported, batch_date,"
            " first_batch_date, run_id, source_file, row_number)"
            " SELECT 'grid ' || b || ' ' || f, start, value, :batch, :batch, :run_id, 'd.csv', 2"
            " FROM unnest(CAST(:grid AS float8[])) AS b CROSS JOIN unnest(CAST(:grid AS float8[])) AS f"
            " CROSS JOIN LATERAL (VALUES (DATE '2000-01-01', b), (DATE '2000-07-01', f)) AS v (start, value)"
        ),
        {"grid": GRID, "batch": BATCH, "run_id": str(RUN)},
    )


@pytest.fixture(scope="module")
def filled(new_warehouse):
    with new_warehouse() as made:
        with made.engine(made.superuser_url).begin() as connection:
            connection.exec_driver_sql(PREPARE)
            for insert in (insert_near, insert_intervals, insert_responses):
                insert(connection)
        yield made


@pytest.fixture(scope="module")
def analyst(filled) -> Engine:
    return filled.engine(filled.analyst_url)


# ---- damage_and_activity


def test_damage_and_activity_joins_each_visit_once_to_the_nearest_das28(analyst):
    found = rows(
        analyst,
        "SELECT visit_date - DATE '2020-01-01', reported_rau, rau_expected, lag_days, das28_esr4, das28_esr4_origin,"
        " das28_crp3, window_days FROM analyst.damage_and_activity WHERE patient_id = 'near' ORDER BY 1",
    )
    assert found == [
        (0, 13.0, 10.0, -12, 2.988, "reported", None, 90),
        (366, None, 20.0, -30, 3.336, "reported", None, 90),  # Of two equally near visits the earlier one.
        (731, 3.0, 12.0, None, None, None, None, 90),
    ]


def test_damage_and_activity_keeps_a_score_without_a_radiograph(analyst):
    assert rows(
        analyst,
        "SELECT n_radiographs, reported_rau, rau_expected, lag_days FROM analyst.damage_and_activity"
        " WHERE patient_id = 'unnamed'",
    ) == [(0, 30.0, None, None)]


def test_damage_and_activity_has_no_visit_twice(analyst):
    query = "SELECT 1 FROM analyst.damage_and_activity GROUP BY patient_id, visit_date HAVING count(*) > 1"
    assert rows(analyst, query) == []


# ---- rau_progression


def test_rau_progression_of_predicted_and_reported_scores(analyst):
    query = "SELECT * FROM analyst.rau_progression WHERE patient_id = 'near' AND damage = :damage ORDER BY to_date"
    first, second = records(analyst, query, damage="predicted_rau")
    sd = np.hypot(5, 5) / stats.norm.ppf(0.95)
    assert (first["rau_before"], first["rau_after"], first["rau_change"]) == (10.0, 20.0, 10.0)
    assert first["change_per_year"] == pytest.approx(10 * 365.25 / 366)
    assert first["smallest_detectable_change"] == HUMAN_SDC
    assert first["change_class"] == "progression"
    assert first["probability_of_progression"] == pytest.approx(stats.norm.cdf(10 / sd), abs=1e-6)
    assert first["probability_of_detectable_progression"] == pytest.approx(stats.norm.cdf(3.7 / sd), abs=1e-6)
    assert first["probability_of_detectable_improvement"] == pytest.approx(stats.norm.cdf(-16.3 / sd), abs=1e-6)
    # A decrease, but from another number of joints.
    assert (second["rau_change"], second["same_joint_count"], second["change_class"]) == (-8.0, False, None)
    assert {first["model_version"], second["model_version"]} == {"champion"}
    (reported,) = records(analyst, query, damage="reported_rau")
    assert (reported["from_date"], reported["to_date"]) == (START, day(731))
    assert (reported["rau_change"], reported["change_class"]) == (-10.0, "improvement")
    assert reported["probability_of_progression"] is None


def test_normal_cdf_equals_scipy(filled):
    z = np.concatenate([np.linspace(-9, 9, 181), [-1e300, 1e300]])
    ((found,),) = rows(
        filled.engine(filled.superuser_url),
        "SELECT array_agg(analytics.normal_cdf(z) ORDER BY place)"
        " FROM unnest(CAST(:z AS float8[])) WITH ORDINALITY AS t (z, place)",
        z=z.tolist(),
    )
    assert np.max(np.abs(np.array(found) - stats.norm.cdf(z))) < 7.5e-8


def test_probability_of_progression_is_close_to_that_of_the_exact_distributions():
    """Compare normal scores, as the view assumes, with the difference of two convolved distributions of ten joints."""
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


# ---- activity_between_radiographs


def test_activity_between_radiographs_integrates_by_the_trapezoidal_rule(analyst):
    query = "SELECT * FROM analyst.activity_between_radiographs WHERE activity = 'das28_esr4' AND years < 1.6"
    found = frame(analyst, query).set_index("patient_id")
    usual = found.loc["usual"]
    mean = (182 * 3.0 + 183 * 3.5) / 365
    assert usual["mean_das28"] == pytest.approx(mean)
    assert usual["das28_years"] == pytest.approx(mean * 365 / 365.25)
    assert (usual["n_activity_visits"], usual["n_reported"], usual["covered_share"]) == (3, 3, 1.0)
    # From 1.0 to 4.0 within 30 days; the radiographs are on days 10 and 20 of these.
    assert found.loc["cut", "mean_das28"] == pytest.approx(2.5)
    assert tuple(found.loc["cut", ["n_activity_visits", "covered_share"]]) == (0, 1.0)
    assert found.loc["short", "covered_share"] == pytest.approx(0.79)
    assert np.isnan(found.loc["short", "mean_das28"])
    assert tuple(found.loc["enough", ["covered_share", "mean_das28"]]) == (pytest.approx(0.8), 4.0)
    # The gap is too long to interpolate.
    assert tuple(found.loc["gap", ["n_activity_visits", "covered_share"]]) == (2, 0.0)
    assert np.isnan(found.loc["gap", "das28_years"])


def test_activity_between_radiographs_does_not_mix_forms_of_das28(analyst):
    assert rows(
        analyst,
        "SELECT activity, n_activity_visits, mean_das28 FROM analyst.activity_between_radiographs"
        " WHERE patient_id = 'usual' AND activity <> 'das28_esr4' ORDER BY activity",
    ) == [("das28_crp3", 1, None), ("das28_crp4", 0, None), ("das28_esr3", 0, None)]


def test_activity_between_radiographs_has_one_row_per_interval_and_form(analyst):
    assert rows(
        analyst,
        "SELECT DISTINCT count(*) FROM analyst.rau_progression AS p INNER JOIN analyst.activity_between_radiographs"
        " USING (patient_id, damage, from_date, to_date) GROUP BY p.patient_id, p.damage, p.from_date",
    ) == [(4,)]


# ---- eular_response


def test_eular_response_equals_python_on_a_grid(analyst):
    found = frame(
        analyst,
        "SELECT baseline_das28, das28, response, activity FROM analyst.eular_response WHERE patient_id LIKE 'grid %'",
    )
    assert len(found) == len(GRID) ** 2
    assert list(found["response"]) == das28.eular_response(found["baseline_das28"], found["das28"]).tolist()
    assert set(found["response"]) == {"good", "moderate", "none"}
    assert set(found["activity"]) == {"das28_crp3"}


# ---- patient_timeline


def test_patient_timeline_lists_events_in_order(analyst):
    found = rows(
        analyst,
        "SELECT event_date - DATE '2020-01-01', event_type, description, points FROM analyst.patient_timeline"
        " WHERE patient_id = 'near' ORDER BY event_date, event_order, id_x",
    )
    assert [row[:3] for row in found[:5]] == [
        (-12, "activity", "das28_esr4 2.99, low (reported)"),
        (0, "radiograph", "radiograph HAND_LEFT"),
        (0, "prediction", "predicted Rau score 10.0 (90 % interval 5.0 to 15.0), 10 joints, extrapolated"),
        (19, "activity", "das28_esr4 3.02, low (reported)"),
        (31, "reported_rau", "Rau score 12 reported for the visit on 2020-01-01"),
    ]
    assert [row for row in found if row[1] == "reported_rau"] == [
        (31, "reported_rau", "Rau score 12 reported for the visit on 2020-01-01", 12.0),
        (397, "reported_rau", "Rau score 13 reported for the visit on 2020-01-01", 13.0),
        (731, "reported_rau", "Rau score 3 reported for the visit on 2022-01-01", 3.0),
    ]


def test_patient_timeline_scores_current_readings_only(analyst):
    query = "SELECT points, n_joints FROM analyst.patient_timeline WHERE id_x = 'r1'"
    assert rows(analyst, query) == [(76.0, 3)]
