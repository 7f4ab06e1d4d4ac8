"""The back-test: simple methods are what their names say, nobody is forecast by a model that knows him, and it wins."""

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


def frame(*radiographs):
    named = pd.DataFrame(radiographs, columns=["patient_id", "visit_date", "rau"])
    return progression.checked(named.assign(rau_sd=0.0, n_scored=32))


def test_the_simple_methods_by_hand():
    before, last = progression.without_last(
        frame(
            ("a", "2010-01-01", 10.0), ("a", "2011-01-01", 20.0), ("a", "2013-01-01", 99.0),
            ("b", "2010-01-01", 5.0), ("b", "2012-01-01", 99.0),
            ("c", "2010-01-01", 20.0), ("c", "2011-01-01", 4.0), ("c", "2012-01-01", 99.0),
            ("d", "2010-01-01", 7.0),
        )
    )  # fmt: skip
    assert list(last["patient_id"]) == ["a", "b", "c"]
    assert list(backtest.last_value(before, last)) == [20, 5, 4]
    trend = backtest.linear_trend(before, last)
    assert trend == pytest.approx([20 + 10 * 731 / 365, 5, 0])


def test_on_a_synthetic_registry_both_simple_methods_are_beaten():
    found = backtest.back_test(synthetic_radiographs(500, 3))
    figures = found.figures.set_index("method")
    assert found.n_patients > 350
    assert list(figures.index) == list(backtest.METHODS)
    against = found.differences[found.differences["against"].isin(["last value", "linear trend"])]
    assert len(against) == 6
    assert (against["difference"] < 0).all(), against.to_string()
    # The absolute error of four hundred patients varies too much for a last value that is often right to the point.
    sure = against[against["measure"] != "mae"]
    assert (sure["high"] < 0).all(), against.to_string()
    course_row = figures.loc["course"]
    assert course_row["coverage"] == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / found.n_patients * 1.5))
    # No wider than the intervals of either, and better told who will progress.
    assert course_row["width"] < figures.loc[["last value", "linear trend"], "width"].min()
    assert course_row["brier"] < figures.loc[["last value", "linear trend"], "brier"].min()
    assert course_row["brier"] < found.share_beyond * (1 - found.share_beyond)


def test_nobody_is_forecast_by_a_model_that_has_seen_him(monkeypatch):
    radiographs = synthetic_radiographs(120, 4)
    fit, predict, learnt = progression.fit, progression.predict, {}

    def remember(seen):
        model = fit(seen)
        learnt[id(model)] = (model, set(seen["patient_id"]))
        return model

    def check(model, before, last):
        if id(model) in learnt:
            assert not learnt[id(model)][1] & set(before["patient_id"])
        return predict(model, before, last)

    monkeypatch.setattr(progression, "SHIFTS", (16.0,))
    monkeypatch.setattr(backtest.course, "fit", remember)
    monkeypatch.setattr(backtest.course, "predict", check)
    found = backtest.back_test(radiographs)
    assert len(learnt) == backtest.FOLDS
    assert found.n_patients == (radiographs.groupby("patient_id").size() > 1).sum()


def test_too_few_patients_are_refused():
    with pytest.raises(progression.TooFewPatients):
        backtest.back_test(synthetic_radiographs(30, 5))
