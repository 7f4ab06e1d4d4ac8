"""The back-test: its simple methods, its separation of patients, and the comparison of methods."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from scoring.analysis import backtest, progression
from scoring.phantom.registry import simulate_registry


def synthetic_radiographs(n_patients, seed):
    radiographs = simulate_registry(n_patients, seed, date(2014, 1, 1), 10.0).consultations
    named = radiographs.rename(columns={"date_x": "visit_date", "rau_score": "rau"}).dropna(subset=["rau"])
    return named.assign(rau_sd=0.0, n_scored=10)


def test_last_value_and_linear_trend_match_a_calculation_by_hand():
    radiographs = pd.DataFrame(
        [
            ("a", "2010-01-01", 10.0), ("a", "2011-01-01", 20.0), ("a", "2013-01-01", 99.0),
            ("b", "2010-01-01", 5.0), ("b", "2012-01-01", 99.0),
            ("c", "2010-01-01", 20.0), ("c", "2011-01-01", 4.0), ("c", "2012-01-01", 99.0),
            ("d", "2010-01-01", 7.0),
        ],
        columns=["patient_id", "visit_date", "rau"],
    )  # fmt: skip
    before, last = progression.without_last(progression.checked(radiographs.assign(rau_sd=0.0, n_scored=32)))
    assert list(last["patient_id"]) == ["a", "b", "c"]
    assert list(backtest.last_value(before)) == [20, 5, 4]
    assert backtest.linear_trend(before, last) == pytest.approx([20 + 10 * 731 / 365, 5, 0])


@pytest.mark.slow
def test_back_test_on_a_synthetic_registry_favours_the_model_over_both_simple_methods(monkeypatch):
    # Two of the four scales, to save time.
    monkeypatch.setattr(progression, "SHIFTS", (16.0, np.inf))
    found = backtest.back_test(synthetic_radiographs(500, 3))
    figures = found.figures.set_index("method")
    assert found.n_patients > 350
    assert list(figures.index) == list(backtest.METHODS)
    against = found.differences[found.differences["against"].isin(["last value", "linear trend"])]
    assert len(against) == 6
    assert (against["difference"] < 0).all(), against.to_string()
    # With 400 patients, the absolute error varies too much: the last value is often exactly right.
    other_measures = against[against["measure"] != "mae"]
    assert (other_measures["high"] < 0).all(), against.to_string()
    model = figures.loc["progression model"]
    assert model["coverage"] == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / found.n_patients * 1.5))
    # Narrower intervals than both, and better probabilities of progression.
    assert model["width"] < figures.loc[["last value", "linear trend"], "width"].min()
    assert model["brier"] < figures.loc[["last value", "linear trend"], "brier"].min()
    assert model["brier"] < found.share_beyond * (1 - found.share_beyond)


def test_back_test_forecasts_no_patient_with_a_model_fitted_to_them(monkeypatch):
    radiographs = synthetic_radiographs(120, 4)
    fit, predict, fitted = progression.fit, progression.predict, {}

    def remember(training):
        model = fit(training)
        fitted[id(model)] = (model, set(training["patient_id"]))
        return model

    def check(model, before, last):
        if id(model) in fitted:
            assert not fitted[id(model)][1] & set(before["patient_id"])
        return predict(model, before, last)

    monkeypatch.setattr(progression, "SHIFTS", (16.0,))
    monkeypatch.setattr(progression, "fit", remember)
    monkeypatch.setattr(progression, "predict", check)
    found = backtest.back_test(radiographs)
    assert len(fitted) == backtest.FOLDS
    assert found.n_patients == (radiographs.groupby("patient_id").size() > 1).sum()


def test_back_test_rejects_too_few_patients():
    with pytest.raises(progression.TooFewPatients):
        backtest.back_test(synthetic_radiographs(30, 5))
