import numpy as np
import pandas as pd
import pytest

from scoring.errors import InvalidRequest
from scoring.phantom.longitudinal import DAYS_PER_YEAR, Planted, simulate_followed

# Without reading error and without patients who leave, the planted relations are clearest.
CLEAN = Planted(reader_error=0.0, stay=1e9)


@pytest.fixture(scope="module")
def clean():
    return simulate_followed(4000, seed=3, planted=CLEAN)


def wide(frame, name, keep):
    """Return one row per patient with a complete series and one column per visit, counted from 0."""
    visit = frame.groupby("patient_id").cumcount()
    table = frame.assign(visit=visit).pivot(index="patient_id", columns="visit", values=name)
    return table.dropna()[keep]


def test_simulate_followed_is_reproducible():
    once, again, other = (simulate_followed(20, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(once.radiographs, again.radiographs)
    pd.testing.assert_frame_equal(once.visits, again.visits)
    assert not once.visits.equals(other.visits)


def test_simulate_followed_resembles_a_registry():
    followed = simulate_followed(500, seed=1)
    radiographs, visits = followed.radiographs, followed.visits
    for frame in (radiographs, visits):
        assert not frame.duplicated(["patient_id", "visit_date"]).any()
        assert frame.sort_values(["patient_id", "visit_date"]).index.tolist() == frame.index.tolist()
    assert radiographs[["reported_rau", "predicted_rau"]].min().min() >= 0
    assert radiographs[["reported_rau", "predicted_rau"]].max().max() <= 190
    assert visits["das28_esr4"].notna().all()
    assert visits["das28_crp3"].isna().mean() == pytest.approx(0.15, abs=0.02)
    assert 3.2 < visits["das28_esr4"].mean() < 4.0
    gap = radiographs.groupby("patient_id")["visit_date"].diff().dropna().dt.days
    assert 340 < gap.median() < 390
    with_visit = radiographs.merge(visits, on=["patient_id", "visit_date"])
    assert 0.65 < len(with_visit) / len(radiographs) < 0.8


def test_simulate_followed_has_the_planted_progression(clean):
    radiographs = clean.radiographs
    by = radiographs.groupby("patient_id")
    gained = by["reported_rau"].last() - by["reported_rau"].first()
    years = (by["visit_date"].last() - by["visit_date"].first()).dt.days / DAYS_PER_YEAR
    rate = (gained / years).dropna()
    assert (gained >= 0).all()
    assert rate.mean() == pytest.approx(CLEAN.progression, abs=4 * rate.std() / np.sqrt(len(rate)))


def test_simulate_followed_has_the_derived_covariances(clean):
    """Of activities half a year apart, and of activity and the damage gained until then."""
    between, within, memory = CLEAN.activity_between**2, CLEAN.activity_within**2, CLEAN.activity_memory
    activity = wide(clean.visits, "das28_esr4", [9, 10])
    assert np.cov(activity.T)[0, 1] == pytest.approx(between + within * np.exp(-0.5 / memory), abs=0.07)

    radiographs = clean.radiographs.merge(
        clean.visits[["patient_id", "visit_date", "das28_esr4"]], on=["patient_id", "visit_date"]
    )
    first = radiographs.groupby("patient_id")[["visit_date", "reported_rau"]].transform("first")
    years = (radiographs["visit_date"] - first["visit_date"]).dt.days / DAYS_PER_YEAR
    late = radiographs[np.rint(years) == 6]
    gained = late["reported_rau"] - first.loc[late.index, "reported_rau"]
    # Integrals of exp(-t / memory) over the six years before, and over the same years shifted by one.
    lagged = memory * (np.exp(-1 / memory) - np.exp(-7 / memory))
    now = memory * (1 - np.exp(-6 / memory))
    expected = (CLEAN.lead + CLEAN.during) * 6 * between + within * (CLEAN.lead * lagged + CLEAN.during * now)
    spread = gained.std() * late["das28_esr4"].std() / np.sqrt(len(late))
    assert np.cov(gained, late["das28_esr4"])[0, 1] == pytest.approx(expected, abs=4 * spread)
    assert expected > 8 * spread


@pytest.mark.parametrize(("n_patients", "years"), [(0, 10), (10, 0)])
def test_simulate_followed_rejects_registries_without_patients_or_years(n_patients, years):
    with pytest.raises(InvalidRequest, match="must be 1 or more"):
        simulate_followed(n_patients, seed=1, years=years)
