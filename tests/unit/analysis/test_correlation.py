import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.analysis.correlation import ACTIVITIES, COLUMNS, DAMAGES, METHODS, cluster_correlation, correlate

SCIPY = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
CONFIDENCE = 0.95

# Integers, so that ties are frequent, as in Rau scores.
tied_pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=5, max_size=25).filter(
    lambda pairs: len({x for x, _ in pairs}) > 1 and len({y for _, y in pairs}) > 1
)


def clustered_normal(rng, n_patients, visits_per_patient, rho, shared=0.8):
    """Draw pairs with correlation rho; `shared` is the share of their variance between patients."""
    patient = np.repeat(np.arange(n_patients), visits_per_patient)
    covariance = [[1, rho], [rho, 1]]
    of_patient = rng.multivariate_normal([0, 0], covariance, n_patients)[patient]
    of_visit = rng.multivariate_normal([0, 0], covariance, len(patient))
    x, y = (np.sqrt(shared) * of_patient + np.sqrt(1 - shared) * of_visit).T
    return x, y, patient


def visits_of(n_visits, n_patients, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n_patients, n_visits)
    severity = rng.normal(size=n_patients)[patient]
    visits = pd.DataFrame(
        {
            "patient_id": [f"{number:05d}" for number in patient],
            "visit_date": [dt.date(2000, 1, 1) + dt.timedelta(days=day) for day in range(n_visits)],
        }
    )
    for name in (*DAMAGES, *ACTIVITIES):
        values = np.round(20 + 4 * severity + 6 * rng.normal(size=n_visits), 1)
        visits[name] = np.where(rng.random(n_visits) < missing, np.nan, values)
    return visits


@pytest.mark.parametrize("method", METHODS)
@given(pairs=tied_pairs)
def test_methods_agree_with_scipy(method, pairs):
    x, y = np.array(pairs, dtype=float).T
    estimate, influence = METHODS[method](x, y)
    assert estimate == pytest.approx(SCIPY[method](x, y).statistic, abs=1e-12)
    assert influence.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid", [0, 1], ids=["tied", "continuous"])
def test_methods_have_the_influence_of_a_little_more_weight_on_one_visit(method, grid):
    # Weight by repetition: with 200 copies of all visits, one more of visit i changes the estimate by influence / n.
    rng = np.random.default_rng(3)
    x = rng.gamma(2, 2, 12)
    y = 0.4 * x + rng.normal(size=12)
    if grid == 0:
        x, y = np.round(x), np.round(y)
    estimate, influence = METHODS[method](x, y)
    copies = 200
    for i in range(12):
        with_one_more = np.append(np.tile(np.arange(12), copies), i)
        moved = SCIPY[method](x[with_one_more], y[with_one_more]).statistic - estimate
        assert moved * copies * 12 == pytest.approx(influence[i], rel=0.02, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_cluster_correlation_agrees_with_a_bootstrap_over_patients(method):
    rng = np.random.default_rng(11)
    x, y, patient = clustered_normal(rng, 120, 5, 0.3)
    x = np.round(np.exp(x), 1)  # skewed and tied, as Rau scores are
    found = cluster_correlation(x, y, patient, method, CONFIDENCE)
    rows = np.arange(len(x)).reshape(120, 5)
    drawn = [rows[rng.integers(0, 120, 120)].ravel() for _ in range(600)]
    z = np.arctanh([METHODS[method](x[sample], y[sample])[0] for sample in drawn])
    bootstrap_half = 1.96 * z.std(ddof=1)
    half = (np.arctanh(found.ci_high) - np.arctanh(found.ci_low)) / 2
    assert half == pytest.approx(bootstrap_half, rel=0.12)


def coverage(n_patients, visits_per_patient, rho, repetitions, seed):
    """Return the share of intervals that contain the truth, per method and for the textbook Pearson interval."""
    rng = np.random.default_rng(seed)
    truth = {"pearson": rho, "spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}
    covered = dict.fromkeys([*METHODS, "naive"], 0)
    for _ in range(repetitions):
        x, y, patient = clustered_normal(rng, n_patients, visits_per_patient, rho)
        for method in METHODS:
            found = cluster_correlation(x, y, patient, method, CONFIDENCE)
            covered[method] += int(found.ci_low <= truth[method] <= found.ci_high)
        naive = stats.pearsonr(x, y).confidence_interval(CONFIDENCE)
        covered["naive"] += int(naive.low <= rho <= naive.high)
    return {method: count / repetitions for method, count in covered.items()}


def test_cluster_correlation_covers_the_truth_where_the_naive_interval_does_not():
    # With 300 repetitions, the standard error of a coverage of 95 % is 1.3 points.
    covered = coverage(n_patients=50, visits_per_patient=8, rho=0.2, repetitions=300, seed=5)
    for method in METHODS:
        assert 0.915 <= covered[method] <= 0.985, method
    assert covered["naive"] < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(("n_patients", "rho"), [(20, 0.15), (100, 0.15), (100, 0.6), (400, -0.3)])
def test_cluster_correlation_covers_the_truth_in_many_settings(n_patients, rho):
    covered = coverage(n_patients=n_patients, visits_per_patient=6, rho=rho, repetitions=2000, seed=n_patients)
    lowest = 0.90 if n_patients < 50 else 0.93
    for method in METHODS:
        assert lowest <= covered[method] <= 0.97, method
    assert covered["naive"] < 0.80


@pytest.mark.parametrize("method", METHODS)
@given(pairs=tied_pairs, patients=st.integers(5, 8), copies=st.integers(2, 4))
@settings(max_examples=40)
def test_cluster_correlation_gains_nothing_from_copied_visits(method, pairs, patients, copies):
    x, y = np.array(pairs, dtype=float).T
    patient = np.arange(len(x)) % patients
    once = cluster_correlation(x, y, patient, method, CONFIDENCE)
    copied = cluster_correlation(*(np.tile(values, copies) for values in (x, y, patient)), method, CONFIDENCE)
    for name in ("estimate", "ci_low", "ci_high"):
        assert getattr(copied, name) == pytest.approx(getattr(once, name), abs=1e-7, nan_ok=True)


@pytest.mark.parametrize("method", METHODS)
@given(pairs=tied_pairs, patients=st.integers(5, 8))
@settings(max_examples=40)
def test_cluster_correlation_interval_contains_the_estimate_and_mirrors_with_the_sign(method, pairs, patients):
    x, y = np.array(pairs, dtype=float).T
    patient = np.arange(len(x)) % patients
    found = cluster_correlation(x, y, patient, method, CONFIDENCE)
    mirrored = cluster_correlation(-x, y, patient, method, CONFIDENCE)
    assert mirrored.estimate == pytest.approx(-found.estimate, abs=1e-9)
    if not np.isnan(found.ci_low):
        assert -1 <= found.ci_low <= found.estimate + 1e-9
        assert found.estimate - 1e-9 <= found.ci_high <= 1
        assert (mirrored.ci_low, mirrored.ci_high) == pytest.approx((-found.ci_high, -found.ci_low), abs=1e-6)


@pytest.mark.parametrize("method", ["spearman", "kendall"])
def test_cluster_correlation_of_ranks_is_invariant_under_rising_transformations(method):
    x, y, patient = clustered_normal(np.random.default_rng(2), 20, 3, 0.4)
    unchanged = cluster_correlation(x, y, patient, method, CONFIDENCE)
    assert cluster_correlation(np.exp(x), y**3, patient, method, CONFIDENCE) == unchanged


def test_correlate_returns_one_row_per_pair_and_method_with_its_own_n():
    visits = visits_of(200, 40)
    visits.loc[:49, "das28_crp3"] = np.nan
    visits.loc[100:149, "reported_rau"] = np.nan
    found = correlate(visits, confidence=0.9)
    assert tuple(found.columns) == COLUMNS
    assert list(zip(found["damage"], found["activity"], found["method"], strict=True)) == [
        (damage, activity, method) for damage in DAMAGES for activity in ACTIVITIES for method in METHODS
    ]
    assert (found["confidence"] == 0.9).all()
    n = found.set_index(["damage", "activity", "method"])
    assert n.loc[("predicted_rau", "das28_esr4", "pearson"), "n_visits"] == 200
    assert n.loc[("predicted_rau", "das28_crp3", "kendall"), "n_visits"] == 150
    assert n.loc[("reported_rau", "das28_crp3", "spearman"), "n_visits"] == 100
    both = visits[["reported_rau", "das28_crp3"]].notna().all(axis=1)
    assert n.loc[("reported_rau", "das28_crp3", "spearman"), "n_patients"] == visits["patient_id"][both].nunique()
    assert n.loc[("reported_rau", "das28_crp3", "spearman"), "estimate"] == pytest.approx(
        stats.spearmanr(visits["reported_rau"][both], visits["das28_crp3"][both]).statistic
    )


def test_correlate_does_not_depend_on_the_order_of_visits():
    visits = visits_of(150, 30, missing=0.2)
    shuffled = visits.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(correlate(shuffled), correlate(visits), rtol=1e-9)


def test_correlate_has_wider_intervals_for_higher_confidence():
    visits = visits_of(150, 30)
    narrow, wide = correlate(visits, 0.8), correlate(visits, 0.99)
    assert (wide["ci_low"] < narrow["ci_low"]).all()
    assert (wide["ci_high"] > narrow["ci_high"]).all()


@pytest.mark.parametrize(
    ("visits", "n_visits", "n_patients"),
    [
        (visits_of(0, 1), 0, 0),
        (visits_of(30, 4), 30, 4),
        (visits_of(30, 9).assign(predicted_rau=12.0, reported_rau=0.0), 30, 9),
        (visits_of(30, 9).assign(predicted_rau=None, reported_rau=None), 0, 0),
    ],
    ids=["no visits", "four patients", "constant damage", "unknown damage"],
)
def test_correlate_keeps_rows_and_n_without_an_estimate(visits, n_visits, n_patients):
    found = correlate(visits)
    assert len(found) == 36
    assert found[["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (found["n_visits"] == n_visits).all()
    assert (found["n_patients"] == n_patients).all()


@pytest.mark.parametrize("method", METHODS)
def test_cluster_correlation_of_exactly_1_has_no_interval(method):
    x = np.arange(6.0)
    found = cluster_correlation(x, 2 * x + 1, np.arange(6), method, CONFIDENCE)
    assert found.estimate == pytest.approx(1)
    assert np.isnan([found.ci_low, found.ci_high]).all()


@pytest.mark.parametrize(
    ("visits", "confidence", "message"),
    [
        (visits_of(9, 4).drop(columns=["das28_esr3", "visit_date"]), 0.95, "lack the columns visit_date, das28_esr3"),
        (visits_of(9, 4).assign(visit_date=dt.date(2020, 1, 1)), 0.95, "Repeated visits"),
        (visits_of(9, 4).assign(patient_id=None), 0.95, "Visits without patient_id: 9"),
        (visits_of(9, 4), 1.0, "confidence must be between 0 and 1"),
        (visits_of(9, 4), 95, "confidence must be between 0 and 1"),
    ],
)
def test_correlate_rejects_invalid_input(visits, confidence, message):
    with pytest.raises(ValueError, match=message):
        correlate(visits, confidence)
