"""The progression model: its forecasts, their intervals and probabilities."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from scoring.analysis import progression
from scoring.analysis.growth import fit_growth
from tests.lib.radiographs import START, linear_growth, skewed_growth


@pytest.fixture(autouse=True)
def one_scale(monkeypatch):
    """Fit only one of the four scales, to save time; the back-test covers the choice of the scale."""
    monkeypatch.setattr(progression, "SHIFTS", (16.0,))


def test_predict_has_90_percent_intervals_that_contain_90_percent_of_next_radiographs():
    model = progression.fit(skewed_growth(400, 4))
    before, last = progression.without_last(progression.checked(skewed_growth(1000, 5)))
    quantiles = progression.predict(model, before, last).quantiles()
    truth = last["rau"].to_numpy()
    covered = np.mean((quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1]))
    # Four standard errors: of a share of 1000, and of the 400 errors behind the interval.
    assert covered == pytest.approx(0.9, abs=4 * np.sqrt(0.09 * (1 / 1000 + 1 / 400)))
    # The truth is as often above the median as below.
    assert np.mean(truth < quantiles[:, 9]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.slow
def test_predict_has_probabilities_of_progression_that_agree_with_its_frequency():
    model = progression.fit(skewed_growth(400, 6))
    before, last = progression.without_last(progression.checked(skewed_growth(1500, 7)))
    threshold = before.groupby("patient_id")["rau"].last().to_numpy() + 6.3
    probability = pd.Series(progression.predict(model, before, last).probability_above(threshold))
    beyond = last["rau"] > threshold
    for _, group in beyond.groupby(pd.qcut(probability.rank(method="first"), 3)):
        allowed = 4 * np.sqrt(0.25 / len(group)) + 0.03
        assert group.mean() == pytest.approx(probability[group.index].mean(), abs=allowed)


def test_forecast_gives_less_weight_to_a_radiograph_with_known_error():
    growth = fit_growth(progression.checked(linear_growth(200, 9, error=1.0)), np.inf)
    model = progression.ProgressionModel(growth, np.linspace(-2, 2, 41), 200)
    visit_dates = [START, START + pd.DateOffset(years=1)]
    certain, uncertain = (
        progression.forecast(
            model,
            pd.DataFrame(
                {
                    "patient_id": "new",
                    "visit_date": visit_dates,
                    "rau": [60.0, 90.0],
                    "rau_sd": [0.0, sd],
                    "n_scored": 32,
                }
            ),
        ).iloc[0]
        for sd in (0.0, 20.0)
    )
    assert certain["rau_level"] > 80
    assert uncertain["rau_level"] < 70
    assert uncertain["rau_q95"] - uncertain["rau_q05"] > certain["rau_q95"] - certain["rau_q05"]


def test_forecast_from_one_radiograph_uses_the_progression_of_other_patients():
    model = progression.fit(linear_growth(300, 10))
    one = pd.DataFrame({"patient_id": ["new"], "visit_date": START, "rau": 60.0, "rau_sd": None, "n_scored": 10})
    found = progression.forecast(model, one).iloc[0]
    assert (found["last_visit"], found["forecast_date"]) == (date(2010, 1, 1), date(2011, 1, 1))
    assert found["n_visits"] == 1
    assert found["rau_median"] - found["rau_level"] == pytest.approx(3, abs=1)


def test_forecast_does_not_depend_on_the_order_of_rows():
    radiographs = skewed_growth(60, 11)
    shuffled = radiographs.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        progression.forecast(progression.fit(radiographs), radiographs),
        progression.forecast(progression.fit(shuffled), shuffled),
    )


def test_forecast_of_constant_scores_is_constant():
    radiographs = linear_growth(40, 12).assign(rau=0.0)
    found = progression.forecast(progression.fit(radiographs), radiographs)
    assert found["rau_q95"].max() == pytest.approx(0, abs=0.1)
    assert found["p_beyond_sdc"].max() < 0.05


def test_forecast_has_no_probability_above_the_highest_score():
    model = progression.fit(skewed_growth(60, 11))
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


def test_fit_rejects_too_few_patients():
    with pytest.raises(progression.TooFewPatients, match="29 patients have two or more radiographs"):
        progression.fit(linear_growth(29, 13))


@pytest.mark.parametrize(
    ("break_frame", "message"),
    [
        (lambda radiographs: radiographs.drop(columns="rau_sd"), "lack the columns rau_sd"),
        (
            lambda radiographs: radiographs.assign(rau=radiographs["rau"].where(radiographs.index > 0)),
            "Radiographs without rau: 1",
        ),
        (lambda radiographs: pd.concat([radiographs, radiographs.head(2)]), "Repeated radiographs .*: 2"),
    ],
)
def test_fit_rejects_invalid_radiographs(break_frame, message):
    with pytest.raises(ValueError, match=message):
        progression.fit(break_frame(linear_growth(40, 14)))


def test_crps_agrees_with_its_definition():
    quantiles = np.tile(np.linspace(0.5, 9.5, 19), (1, 1))
    # For a uniform distribution on 0-10 at its middle it is 10 / 12; 19 quantiles omit the tails beyond 5 %.
    assert progression.crps(quantiles, np.array([5.0]))[0] == pytest.approx(10 / 12, rel=0.06)
    assert progression.crps(np.full((1, 19), 3.0), np.array([5.0]))[0] == pytest.approx(2)
