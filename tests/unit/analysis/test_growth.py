"""The growth model: estimates, gradient, scale and predictions."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from scoring.analysis import growth
from scoring.analysis.frames import DAYS_PER_YEAR
from scoring.analysis.progression import checked
from tests.lib.radiographs import linear_growth, skewed_growth


def test_fit_growth_recovers_planted_effects_and_variances():
    found = growth.fit_growth(linear_growth(600, 1, walk=4.0, sd=6.0), np.inf)
    assert found.level == pytest.approx(60, abs=1.2)
    assert found.progression == pytest.approx(3, abs=0.2)
    assert found.covariance[0, 0] == pytest.approx(100, rel=0.15)
    assert found.covariance[1, 1] == pytest.approx(2.25, rel=0.4)
    assert found.walk == pytest.approx(4, rel=0.25)
    assert found.error == pytest.approx(9, rel=0.15)


def test_fit_growth_without_walk_agrees_with_statsmodels():
    from statsmodels.regression.mixed_linear_model import MixedLM

    radiographs = checked(linear_growth(80, 2))
    ours = growth.fit_growth(radiographs, np.inf, with_walk=False)
    first = radiographs.groupby("patient_id")["visit_date"].transform("min")
    years = (radiographs["visit_date"] - first).dt.days.to_numpy() / DAYS_PER_YEAR
    design = np.column_stack([np.ones(len(radiographs)), years])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MixedLM(radiographs["rau"].to_numpy(), design, groups=radiographs["patient_id"], exog_re=design).fit(
            reml=True
        )
    assert [ours.level, ours.progression] == pytest.approx(list(theirs.fe_params), rel=1e-4)
    assert ours.covariance == pytest.approx(np.asarray(theirs.cov_re), rel=2e-3, abs=0.005)
    assert ours.error == pytest.approx(theirs.scale, rel=1e-3)


def test_deviance_has_the_gradient_of_the_likelihood():
    radiographs = checked(skewed_growth(60, 3).assign(rau_sd=1.0))
    groups = [growth._Group.of(radiographs, rows, 16.0) for rows in growth._rows_by_count(radiographs)]
    logs = np.array([0.1, 0.2, -2.0, -2.5, -1.0])
    slope = growth._deviance(logs, groups, 3.0)[1]
    error = check_grad(
        lambda at: growth._deviance(at, groups, 3.0)[0], lambda at: growth._deviance(at, groups, 3.0)[1], logs
    )
    assert error < 1e-5 * np.abs(slope).max()


@given(st.floats(0, 190), st.sampled_from((4.0, 64.0, np.inf)))
def test_to_points_inverts_to_scale(rau, shift):
    assert growth.to_points(growth.to_scale(np.array([rau]), shift), shift) == pytest.approx([rau], abs=1e-9)


def test_predict_is_never_below_the_estimated_score_today():
    radiographs = checked(linear_growth(200, 8, slope=0.0, slope_spread=4.0))
    model = growth.fit_growth(radiographs, 16.0)
    in_a_year = radiographs["visit_date"] + pd.DateOffset(years=1)
    target = radiographs.assign(visit_date=in_a_year).groupby("patient_id").tail(1)
    centre, _, level = model.predict(radiographs, target)
    assert (centre >= level).all()
    assert (centre > level).any()
    assert (centre == level).any(), "no patient of this test would have healed"
