"""The growth model recovers what was planted, and its forecasts are what they say they are."""

import warnings
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from scoring.analysis import progression

START = pd.Timestamp(2010, 1, 1)


@pytest.fixture(autouse=True)
def one_scale(monkeypatch):
    """Of four scales, one: the others take as long, and which one is taken is for the back-test to say."""
    monkeypatch.setattr(progression, "SHIFTS", (16.0,))


def planted(n_patients, seed, *, walk=0.0, error=9.0, sd=0.0, level=60.0, spread=100.0, slope=3.0, slope_spread=1.5**2):
    """Patients with normal levels and slopes, read with error; five to nine radiographs, uneven gaps."""
    rng = np.random.default_rng(seed)
    radiographs = []
    for number in range(n_patients):
        t = np.concatenate([[0], np.cumsum(rng.uniform(0.4, 1.4, rng.integers(4, 9)))])
        days = np.round(t * progression.DAYS_PER_YEAR)
        steps = rng.normal(0, np.sqrt(walk * np.diff(days / progression.DAYS_PER_YEAR, prepend=0)))
        line = rng.normal(level, np.sqrt(spread)) + rng.normal(slope, np.sqrt(slope_spread)) * t + np.cumsum(steps)
        known = rng.choice([0.0, sd], len(t))
        radiographs.append(
            pd.DataFrame(
                {
                    "patient_id": f"{number:05d}",
                    "visit_date": START + pd.to_timedelta(days, unit="D"),
                    "rau": line + rng.normal(0, np.sqrt(error + known**2)),
                    "rau_sd": known,
                    "n_scored": 32,
                }
            )
        )
    return pd.concat(radiographs, ignore_index=True)


def skewed(n_patients, seed):
    """A registry as registries are: most patients have little damage, few have much, and these progress."""
    rng = np.random.default_rng(seed)
    radiographs = planted(n_patients, seed, level=0, spread=0, slope=0, slope_spread=0, error=0)
    years = (radiographs["visit_date"] - START).dt.days / progression.DAYS_PER_YEAR
    patient = radiographs["patient_id"].astype(int)
    severity = rng.lognormal(2, 1, n_patients)[patient]
    true = severity * (1 + 0.1 * years)
    return radiographs.assign(rau=np.clip(true + rng.normal(0, 1 + 0.3 * np.sqrt(severity)), 0, 190))


def test_planted_effects_and_variances_are_found():
    found = progression.fit_growth(planted(600, 1, walk=4.0, sd=6.0), np.inf)
    assert found.level == pytest.approx(60, abs=1.2)
    assert found.progression == pytest.approx(3, abs=0.2)
    assert found.covariance[0, 0] == pytest.approx(100, rel=0.15)
    assert found.covariance[1, 1] == pytest.approx(2.25, rel=0.4)
    assert found.walk == pytest.approx(4, rel=0.25)
    assert found.error == pytest.approx(9, rel=0.15)


def test_the_mixed_model_is_that_of_statsmodels():
    from statsmodels.regression.mixed_linear_model import MixedLM

    radiographs = progression.checked(planted(80, 2))
    own = progression.fit_growth(radiographs, np.inf, with_walk=False)
    first = radiographs.groupby("patient_id")["visit_date"].transform("min")
    design = np.column_stack(
        [np.ones(len(radiographs)), (radiographs["visit_date"] - first).dt.days.to_numpy() / progression.DAYS_PER_YEAR]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MixedLM(radiographs["rau"].to_numpy(), design, groups=radiographs["patient_id"], exog_re=design).fit(
            reml=True
        )
    assert [own.level, own.progression] == pytest.approx(list(theirs.fe_params), rel=1e-4)
    assert own.covariance == pytest.approx(np.asarray(theirs.cov_re), rel=2e-3, abs=0.005)
    assert own.error == pytest.approx(theirs.scale, rel=1e-3)


def test_the_gradient_is_that_of_the_likelihood():
    radiographs = progression.checked(skewed(60, 3).assign(rau_sd=1.0))
    batches = [
        progression._Batch.of(radiographs, rows, 16.0)
        for rows in progression._rows_by_number_of_radiographs(radiographs)
    ]
    logs = np.array([0.1, 0.2, -2.0, -2.5, -1.0])
    slope = progression._deviance(logs, batches, 3.0)[1]
    error = check_grad(
        lambda at: progression._deviance(at, batches, 3.0)[0],
        lambda at: progression._deviance(at, batches, 3.0)[1],
        logs,
    )
    assert error < 1e-5 * np.abs(slope).max()


@given(st.floats(0, 190), st.sampled_from((4.0, 64.0, np.inf)))
def test_the_scale_and_back_is_the_score(rau, shift):
    assert progression.to_points(progression.to_scale(np.array([rau]), shift), shift) == pytest.approx([rau], abs=1e-9)


def test_ninety_percent_intervals_hold_the_next_radiograph_of_unseen_patients():
    model = progression.fit(skewed(400, 4))
    before, last = progression.without_last(progression.checked(skewed(1000, 5)))
    quantiles = progression.predict(model, before, last).quantiles()
    truth = last["rau"].to_numpy()
    covered = np.mean((quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1]))
    # Four standard errors of a share of 1000, and of the 400 errors that the interval is made of.
    assert covered == pytest.approx(0.9, abs=4 * np.sqrt(0.09 * (1 / 1000 + 1 / 400)))
    # The median is as often above as below.
    assert np.mean(truth < quantiles[:, 9]) == pytest.approx(0.5, abs=0.12)


def test_the_probability_of_progression_is_how_often_it_happens():
    model = progression.fit(skewed(400, 6))
    radiographs = progression.checked(skewed(1500, 7))
    before, last = progression.without_last(radiographs)
    forecast = progression.forecast(model, before, last.set_index("patient_id")["visit_date"])
    beyond = last["rau"].to_numpy() > forecast["rau_last"].to_numpy() + 6.3
    for _, group in forecast.assign(beyond=beyond).groupby(pd.qcut(forecast["p_beyond_sdc"].rank(method="first"), 3)):
        allowed = 4 * np.sqrt(0.25 / len(group)) + 0.03
        assert group["beyond"].mean() == pytest.approx(group["p_beyond_sdc"].mean(), abs=allowed)


def test_a_forecast_does_not_heal():
    radiographs = progression.checked(planted(200, 8, slope=0.0, slope_spread=4.0))
    model = progression.fit(radiographs)
    asked = (
        radiographs.groupby("patient_id").tail(1).assign(visit_date=lambda f: f["visit_date"] + pd.DateOffset(years=1))
    )
    centre, _, level = progression._predict(model.growth, radiographs, asked)
    assert (centre >= level).all()
    assert (centre > level).any()
    assert (centre == level).any(), "no patient of this test would have healed"


def test_a_known_error_makes_a_radiograph_count_for_less():
    radiographs = planted(200, 9, error=1.0)
    growth = progression.fit_growth(progression.checked(radiographs), np.inf)
    sure, unsure = (
        pd.DataFrame(
            {"patient_id": "new", "visit_date": [START, START + pd.DateOffset(years=1)], "rau": [60.0, 90.0],
             "rau_sd": [0.0, sd], "n_scored": 32}
        )
        for sd in (0.0, 20.0)
    )  # fmt: skip
    model = progression.Course(growth, np.linspace(-2, 2, 41), 200)
    surely, unsurely = progression.forecast(model, sure), progression.forecast(model, unsure)
    assert surely["rau_level"].item() > 80
    assert unsurely["rau_level"].item() < 70
    assert unsurely["rau_q95"].item() - unsurely["rau_q05"].item() > surely["rau_q95"].item() - surely["rau_q05"].item()


def test_one_radiograph_gets_the_progression_of_the_others():
    model = progression.fit(planted(300, 10))
    one = pd.DataFrame({"patient_id": ["new"], "visit_date": START, "rau": 60.0, "rau_sd": None, "n_scored": 10})
    found = progression.forecast(model, one).iloc[0]
    assert (found["last_visit"], found["forecast_date"]) == (date(2010, 1, 1), date(2011, 1, 1))
    assert found["n_radiographs"] == 1
    assert found["rau_median"] - found["rau_level"] == pytest.approx(3, abs=1)


def test_the_order_of_the_radiographs_changes_nothing():
    radiographs = skewed(60, 11)
    shuffled = radiographs.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        progression.forecast(progression.fit(radiographs), radiographs),
        progression.forecast(progression.fit(shuffled), shuffled),
    )


def test_scores_that_never_vary_are_forecast_to_stay():
    radiographs = planted(40, 12).assign(rau=0.0)
    found = progression.forecast(progression.fit(radiographs), radiographs)
    assert found["rau_q95"].max() == pytest.approx(0, abs=0.1)
    assert found["p_beyond_sdc"].max() < 0.05


def test_nobody_is_forecast_beyond_the_highest_score_there_is():
    model = progression.fit(skewed(60, 11))
    last = pd.DataFrame(
        {
            "patient_id": ["a", "b", "c"],
            "visit_date": START,
            "rau": [190.0, 184.0, 183.0],
            "rau_sd": None,
            "n_scored": 10,
        }
    )
    found = progression.forecast(model, last)["p_beyond_sdc"]
    assert list(found[:2]) == [0, 0]
    assert found[2] > 0


def test_too_few_patients_have_no_model():
    with pytest.raises(progression.TooFewPatients, match="29 patients have two radiographs or more"):
        progression.fit(planted(29, 13))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda radiographs: radiographs.drop(columns="rau_sd"), "lack the columns rau_sd"),
        (
            lambda radiographs: radiographs.assign(rau=radiographs["rau"].where(radiographs.index > 0)),
            "1 radiographs have no rau",
        ),
        (lambda radiographs: pd.concat([radiographs, radiographs.head(2)]), "2 radiographs are there more than once"),
    ],
)
def test_radiographs_that_cannot_be_used_are_refused(spoil, message):
    with pytest.raises(ValueError, match=message):
        progression.fit(spoil(planted(40, 14)))


def test_a_date_before_the_last_radiograph_is_refused():
    radiographs = planted(40, 15)
    model = progression.fit(radiographs)
    with pytest.raises(ValueError, match="lies before the last radiograph"):
        progression.forecast(model, radiographs, radiographs.groupby("patient_id")["visit_date"].min())


def test_the_crps_is_that_of_the_definition():
    quantiles = np.tile(np.linspace(0.5, 9.5, 19), (1, 1))
    # Of a uniform distribution on 0-10 at its middle: 10 / 12; 19 quantiles leave out the tails beyond 5 %.
    assert progression.crps(quantiles, np.array([5.0]))[0] == pytest.approx(10 / 12, rel=0.06)
    assert progression.crps(np.full((1, 19), 3.0), np.array([5.0]))[0] == pytest.approx(2)
