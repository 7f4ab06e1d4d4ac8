import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS
from statsmodels.regression.mixed_linear_model import MixedLM

from scoring.analysis.regression import cluster_regression, mixed_model

CONFIDENCE = 0.95


@pytest.fixture
def data():
    """150 patients with one to eight rows each, with their own level and two predictors."""
    rng = np.random.default_rng(7)
    patient = np.repeat(np.arange(150), rng.integers(1, 9, 150))
    x = rng.normal(size=(len(patient), 2)) + rng.normal(size=(150, 2))[patient]
    y = 3 + x @ [0.5, -0.2] + 2 * rng.normal(size=150)[patient] + rng.normal(size=len(patient))
    return y, np.column_stack([np.ones(len(y)), x]), patient


def test_cluster_regression_agrees_with_statsmodels(data):
    y, predictors, patient = data
    theirs = OLS(y, predictors).fit(cov_type="cluster", cov_kwds={"groups": patient}, use_t=True)
    low, high = theirs.conf_int(0.05).T
    for i, ours in enumerate(cluster_regression(y, predictors, patient, CONFIDENCE)):
        assert ours.estimate == pytest.approx(theirs.params[i])
        assert (ours.ci_low, ours.ci_high) == pytest.approx((low[i], high[i]))
        assert ours.p_value == pytest.approx(theirs.pvalues[i])


def test_mixed_model_agrees_with_statsmodels(data):
    y, predictors, patient = data
    theirs = MixedLM(y, predictors, patient).fit(reml=False)
    ours = mixed_model(y, predictors, patient, CONFIDENCE)
    assert [slope.estimate for slope in ours] == pytest.approx(theirs.fe_params.tolist(), abs=1e-5)
    # The errors of statsmodels assume the model, which is true here; ours do not.
    errors = [(slope.ci_high - slope.ci_low) / 4.05 for slope in ours]
    assert errors == pytest.approx(theirs.bse_fe.tolist(), rel=0.3)


@pytest.mark.parametrize("fit", [cluster_regression, mixed_model])
def test_slopes_of_collinear_predictors_or_few_rows_are_nan(fit, data):
    y, predictors, patient = data
    twice = np.column_stack([predictors, predictors[:, 1] * 3])
    assert np.isnan([slope.estimate for slope in fit(y, twice, patient, CONFIDENCE)]).all()
    assert np.isnan([slope.estimate for slope in fit(y[:4], predictors[:4], patient[:4], CONFIDENCE)]).all()


@pytest.mark.parametrize("fit", [cluster_regression, mixed_model])
def test_slopes_scale_with_the_units(fit, data):
    y, predictors, patient = data
    once = fit(y, predictors, patient, CONFIDENCE)
    scaled = fit(10 * y, predictors * [1, 2, 1], patient, CONFIDENCE)
    for name in ("estimate", "ci_low", "ci_high"):
        assert getattr(scaled[1], name) == pytest.approx(5 * getattr(once[1], name), rel=1e-4)
        assert getattr(scaled[2], name) == pytest.approx(10 * getattr(once[2], name), rel=1e-4)
