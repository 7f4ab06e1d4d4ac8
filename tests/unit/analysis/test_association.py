import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from scoring.analysis.association import COLUMNS, DAS28_FORMS, LEVEL_WINDOWS, associate
from scoring.phantom.longitudinal import simulate_followed

KEY = ["damage", "activity", "relation", "lag_window", "method", "stratum_kind", "stratum"]
NUMBERS = ["estimate", "ci_low", "ci_high", "p_value", "q_value"]
SHORT = {"damages": ("reported_rau",), "activities": ("das28_esr4",), "strata": ("overall",)}


@pytest.fixture(scope="module")
def followed():
    return simulate_followed(60, seed=5)


@pytest.fixture(scope="module")
def found(followed):
    return associate(followed.radiographs, followed.visits)


@pytest.fixture(scope="module")
def short(followed):
    return associate(followed.radiographs, followed.visits, **SHORT)


def of(found, relation, window, method, **stratum):
    row = found[(found["relation"] == relation) & (found["lag_window"] == window) & (found["method"] == method)]
    for name, value in stratum.items():
        row = row[row[name] == value]
    assert len(row) == 1
    return row.iloc[0]


def equal(left, right, columns=NUMBERS):
    pd.testing.assert_frame_equal(left[[*KEY, *columns]], right[[*KEY, *columns]], rtol=1e-6, atol=1e-7)


def test_associate_returns_each_estimate_once(found):
    assert list(found.columns) == list(COLUMNS)
    assert not found.duplicated(KEY).any()
    assert set(found["activity"]) == {*DAS28_FORMS, "time"}
    assert set(found["stratum_kind"]) == {"overall", "year", "severity"}
    assert set(found[found["relation"] == "level"]["lag_window"]) == set(LEVEL_WINDOWS)
    assert (found["n_patients"] <= found["n_observations"]).all()
    known = found.dropna(subset=["ci_low"])
    assert ((known["ci_low"] <= known["estimate"]) & (known["estimate"] <= known["ci_high"])).all()
    assert len(known) > 0.9 * len(found)


@given(seed=st.integers(0, 1000))
@settings(max_examples=5)
def test_associate_does_not_depend_on_the_order_of_rows_or_names_of_patients(followed, short, seed):
    shuffled = [frame.sample(frac=1, random_state=seed) for frame in (followed.radiographs, followed.visits)]
    equal(associate(*shuffled, **SHORT), short)
    renamed = [frame.assign(patient_id="p" + frame["patient_id"].str[::-1]) for frame in shuffled]
    equal(associate(*renamed, **SHORT), short)


@given(damage=st.floats(-50, 50), activity=st.floats(-3, 3))
@settings(max_examples=5)
def test_associate_is_invariant_under_added_constants(followed, short, damage, activity):
    moved = associate(
        followed.radiographs.assign(reported_rau=followed.radiographs["reported_rau"] + damage),
        followed.visits.assign(das28_esr4=followed.visits["das28_esr4"] + activity),
        **SHORT,
    )
    equal(moved, short)


def test_associate_never_mixes_forms_of_das28(followed, found):
    other = associate(
        followed.radiographs, followed.visits.assign(das28_crp3=followed.visits["das28_crp3"][::-1].to_numpy())
    )
    same, changed = (frame[frame["activity"] != "das28_crp3"].reset_index(drop=True) for frame in (found, other))
    # A q value depends on all estimates.
    equal(same, changed, NUMBERS[:-1])
    assert not found["estimate"].equals(other["estimate"])


def test_associate_rejects_repeated_rows(followed):
    multiplied = followed.radiographs.merge(followed.visits[["patient_id"]], on="patient_id")
    with pytest.raises(ValueError, match=r"Repeated radiographs .*: \d+. Correct the join"):
        associate(multiplied, followed.visits)
    with pytest.raises(ValueError, match=r"Repeated visits .*: 1"):
        associate(followed.radiographs, pd.concat([followed.visits, followed.visits[:1]]))


def test_associate_rejects_invalid_input(followed):
    radiographs, visits = followed.radiographs, followed.visits
    with pytest.raises(ValueError, match="radiographs lack the columns n_scored"):
        associate(radiographs.drop(columns="n_scored"), visits)
    with pytest.raises(ValueError, match="Visits without patient_id: 1"):
        associate(radiographs, visits.assign(patient_id=visits["patient_id"].mask(visits.index == 0)))
    with pytest.raises(ValueError, match="Unknown strata: sex"):
        associate(radiographs, visits, strata=("sex",))
    with pytest.raises(ValueError, match="confidence"):
        associate(radiographs, visits, confidence=1.0)


def test_associate_has_the_repeated_measures_correlation_of_an_analysis_of_covariance(followed, short):
    """Bakdash and Marusich: the root of the share explained in addition to patients, with the sign of the slope."""
    radiographs = followed.radiographs.merge(followed.visits, on=["patient_id", "visit_date"])
    radiographs = radiographs[radiographs.groupby("patient_id")["patient_id"].transform("size") > 1]
    patients = pd.get_dummies(radiographs["patient_id"]).to_numpy(dtype=float)
    damage, activity = radiographs["reported_rau"].to_numpy(), radiographs["das28_esr4"].to_numpy()

    def residual_squares(predictors):
        slopes = np.linalg.lstsq(predictors, damage, rcond=None)[0]
        return float(((damage - predictors @ slopes) ** 2).sum()), slopes[-1]

    without, _ = residual_squares(patients)
    error, slope = residual_squares(np.column_stack([patients, activity]))
    expected = np.sign(slope) * np.sqrt((without - error) / without)
    row = of(short, "level", "same_day", "repeated_measures")
    assert row["estimate"] == pytest.approx(expected, abs=1e-8)
    assert row["n_observations"] == len(radiographs)


def test_associate_has_q_values_of_benjamini_and_hochberg(found):
    tested = found.dropna(subset=["p_value"])
    # p values have nine decimals, and the smallest is multiplied by the number of tests.
    expected = multipletests(tested["p_value"], method="fdr_bh")[1]
    assert tested["q_value"].to_numpy() == pytest.approx(expected, abs=1e-9 * len(tested))
    assert found.loc[found["relation"] == "trend", ["p_value", "q_value"]].isna().all(axis=None)


def test_associate_matches_each_radiograph_with_at_most_one_visit(followed, short):
    n_radiographs = len(followed.radiographs)
    assert of(short, "trend", "none", "mixed_model")["n_observations"] == n_radiographs
    assert of(short, "level", "within_90_days", "pearson")["n_observations"] <= n_radiographs
    assert (
        of(short, "change", "within_90_days", "pearson")["n_observations"]
        <= n_radiographs - followed.radiographs["patient_id"].nunique()
    )


def test_associate_excludes_the_first_radiograph_from_strata_of_severity(followed, found):
    strata = found[(found["stratum_kind"] == "severity") & (found["relation"] == "trend")]
    radiographs = followed.radiographs
    assert (
        strata[strata["damage"] == "reported_rau"]["n_observations"].sum()
        == len(radiographs) - radiographs["patient_id"].nunique()
    )


def test_associate_ignores_intervals_with_different_numbers_of_scored_joints(followed):
    radiographs = followed.radiographs.assign(n_scored=np.where(followed.radiographs.index % 2, 38.0, 36.0))
    alternating = radiographs.groupby("patient_id")["n_scored"].diff().ne(0).all()
    assert alternating
    found = associate(radiographs, followed.visits, strata=("overall",))
    changes = found[found["relation"].isin(["change", "progression"])]
    assert set(changes["damage"]) == {"reported_rau"}


def test_associate_has_no_estimate_for_four_patients():
    few = simulate_followed(4, seed=2)
    found = associate(few.radiographs, few.visits)
    assert len(found) > 0
    assert (found["n_patients"] <= 4).all()
    assert found[NUMBERS].isna().all(axis=None)


def test_associate_returns_no_row_without_observations():
    none = simulate_followed(1, seed=1)
    found = associate(none.radiographs[:0], none.visits[:0])
    assert list(found.columns) == list(COLUMNS)
    assert found.empty
    assert associate(none.radiographs, none.visits[:0])["relation"].unique().tolist() == ["trend"]
