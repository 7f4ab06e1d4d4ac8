"""Rules about predictions."""

import numpy as np
import pandas as pd
import pytest

from scoring.errors import ModelRejected
from scoring.validation.batch import check_predictions


def test_check_predictions_accepts_valid_predictions(build):
    rows = build.predictions(
        {"image_sha256": "a"},
        {"image_sha256": "b", "predicted_percent": 0.9, "predicted_grade": 0},
        {"image_sha256": "c", "predicted_percent": 1.0, "predicted_grade": 1},
        {"image_sha256": "d", "predicted_percent": float(np.float32(20.000001)), "predicted_grade": 1},
        {"image_sha256": "e", "cdf": np.ones(101)},
    )
    check_predictions(rows, rows[["image_sha256"]])
    check_predictions(rows.head(0), rows.head(0))


def _cdf(place, value):
    values = np.clip(np.arange(101) / 40, 0, 1)
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"cdf": _cdf(100, 1.01)}, "cdf_in_range"),
        ({"cdf": _cdf(0, -0.01)}, "cdf_in_range"),
        ({"cdf": _cdf(5, np.nan)}, "cdf_in_range"),
        ({"cdf": np.ones(100)}, "cdf_in_range"),
        ({"cdf": _cdf(60, 0.5)}, "cdf_monotone"),
        ({"predicted_percent": np.nan}, "mean_present"),
        ({"predicted_percent": 100.5}, "mean_in_range"),
        ({"predicted_q05": 30.0}, "quantiles_ordered"),
        ({"predicted_q95": 19.0}, "quantiles_ordered"),
        ({"predicted_median": np.nan}, "quantiles_ordered"),
        ({"predicted_q95": 101.0}, "quantiles_ordered"),
        ({"predicted_grade": 1}, "grade_fits_mean"),
        ({"predicted_percent": 0.5, "predicted_grade": 1}, "grade_fits_mean"),
        ({"grade_probability": np.full(6, 0.2)}, "probabilities_sum_to_one"),
        ({"grade_probability": np.array([1.2, -0.2, 0, 0, 0, 0])}, "probabilities_sum_to_one"),
        ({"grade_probability": np.full(5, 0.2)}, "probabilities_sum_to_one"),
    ],
)
def test_check_predictions_rejects_an_impossible_prediction(build, row, rule):
    rows = build.predictions({"image_sha256": "good"}, {"image_sha256": "bad", **row})
    with pytest.raises(ModelRejected) as rejected:
        check_predictions(rows, rows[["image_sha256"]])
    assert f"(predictions.{rule}: 1 of 2)" in str(rejected.value)


@pytest.mark.parametrize(
    ("planned", "predicted", "rule"),
    [
        (["a", "b"], ["a"], "predicted: 1 of 2"),
        (["a"], ["a", "b"], "planned: 1 of 2"),
        (["a"], ["a", "a"], "once: 2 of 2"),
        (["a"], [], "predicted: 1 of 1"),
    ],
)
def test_check_predictions_rejects_missing_unplanned_and_repeated_predictions(build, planned, predicted, rule):
    rows = build.predictions(*({"image_sha256": sha} for sha in predicted))
    with pytest.raises(ModelRejected) as rejected:
        check_predictions(rows, pd.DataFrame({"image_sha256": planned}, dtype="str"))
    assert f"predictions.{rule}" in str(rejected.value)


def test_check_predictions_rejects_predictions_without_a_column(build):
    rows = build.predictions({})
    with pytest.raises(ModelRejected, match="column cdf is missing"):
        check_predictions(rows.drop(columns="cdf"), rows)
