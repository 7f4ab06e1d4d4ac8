from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.clinical import ratingen
from scoring.errors import InvalidRequest
from scoring.networks.readout import N_POINTS, USUAL_RULE, WEIGHTED_MEDIAN, ReadOutRule, make_monotone, read_out
from scoring.training.evaluation import calibration, metrics
from scoring.training.evaluation.sums import cdf_around

seeds = st.integers(0, 10_000)


def _joints(n, seed, certainty=1.0):
    """Readings, and distributions around noisy values of them, narrower than the noise with a `certainty` above 1."""
    rng = np.random.default_rng(seed)
    reading = rng.choice([0, 0, 0, 5, 10, 20, 25, 40, 45, 60, 75, 80, 90, 100], n)
    centre = reading + rng.logistic(0, 4, n)
    cdf = 1 / (1 + np.exp(-(np.arange(N_POINTS) - centre[:, None]) * certainty / 4))
    return cdf.astype(np.float32), reading


def _interval(cdf, level):
    read = read_out(cdf, ReadOutRule(interval_level=level))
    return read.q05, read.q95


def _covered(cdf, reading, level):
    low, high = _interval(cdf, level)
    return (low <= reading) & (reading <= high)


@given(seeds, st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([0.05, 0.1, 0.2]))
@settings(max_examples=40)
def test_conformal_level_covers_similar_joints(seed, certainty, alpha):
    """The network may be too certain or not certain enough."""
    cdf, reading = _joints(4000, seed, certainty)
    level = calibration.conformal_level(cdf[:2000], reading[:2000], alpha)
    covered = _covered(cdf[2000:], reading[2000:], level).mean()
    # Four standard errors of two samples of 2,000 are 3.8 points at 10 %.
    assert covered >= 1 - alpha - 4 * np.sqrt(alpha * (1 - alpha) * 2 / 2000)


def test_conformal_level_narrows_intervals_that_are_too_wide():
    """The own intervals of a network that is not certain enough are too wide, the fitted ones are not."""
    cdf, reading = _joints(8000, 1, certainty=0.4)
    level = calibration.conformal_level(cdf[:4000], reading[:4000])
    usual = USUAL_RULE.interval_level
    assert _covered(cdf[4000:], reading[4000:], usual).mean() > 0.97
    assert 0.88 < _covered(cdf[4000:], reading[4000:], level).mean() < 0.93
    fitted, own = (np.diff(_interval(cdf[4000:], one), axis=0).mean() for one in (level, usual))
    assert fitted < 0.8 * own


@given(seeds, st.floats(0, 1))
def test_read_out_covers_joints_with_a_score_below_the_level(seed, level):
    cdf, reading = _joints(50, seed)
    below, upto = cdf_around(make_monotone(cdf), reading)
    score = np.maximum(1 - 2 * upto, 2 * below - 1)
    for tried in (level, *score[score >= 0]):
        # Levels are rounded to 12 digits.
        apart = np.abs(score - tried) > 1e-9
        np.testing.assert_array_equal(_covered(cdf, reading, tried)[apart], (score < tried)[apart])


@given(seeds, st.floats(0, 1), st.floats(0, 1))
def test_read_out_nests_intervals_of_rising_levels(seed, one, other):
    cdf, _ = _joints(20, seed)
    inner, outer = (_interval(cdf, level) for level in sorted((one, other)))
    assert (outer[0] <= inner[0]).all()
    assert (inner[0] <= inner[1]).all()
    assert (inner[1] <= outer[1]).all()


def test_conformal_level_by_hand():
    """Of nine joints at 10 %, the ceil(10 * .9) = 9th score, which is the largest; eight joints are too few."""
    cdf, reading = _joints(9, 4)
    below, upto = cdf_around(make_monotone(cdf), reading)
    level = calibration.conformal_level(cdf, reading)
    assert level == pytest.approx(np.maximum(1 - 2 * upto, 2 * below - 1).max(), abs=2e-7)
    assert calibration.conformal_level(cdf[:8], reading[:8]) == 1
    low, high = _interval(cdf, 1.0)
    assert (low == 0).all()
    assert (make_monotone(cdf)[np.arange(9), high] == 1).all()


@pytest.mark.parametrize("steps", [50, 100, 1000])
def test_conformal_level_covers_distributions_that_rise_in_steps(steps):
    """Many joints have exactly the score that is the level; none of them may be outside."""
    cdf, reading = _joints(4000, 5)
    stepped = np.round(make_monotone(cdf) * steps) / steps
    level = calibration.conformal_level(stepped[:2000], reading[:2000])
    assert level < 1
    assert _covered(stepped[:2000], reading[:2000], level).mean() >= 0.9


def _agreement(probability, grade, weights):
    predicted = ReadOutRule(WEIGHTED_MEDIAN, weights=weights).grade(np.empty(0), probability)
    return metrics.confusion_measures(metrics.confusion_matrix(grade, predicted))["accuracy_and_kappa"]


@given(seeds, st.integers(1, 200))
@settings(max_examples=40)
def test_grade_weights_rise_with_rarity_and_are_no_worse_than_none(seed, n):
    cdf, reading = _joints(n, seed)
    probability = read_out(cdf).grade_probability
    grade = np.asarray(ratingen.grade(reading), dtype=np.int64)
    weights = calibration.grade_weights(probability, grade)
    assert weights[0] == 1
    frequency = np.bincount(grade, minlength=6)
    order = np.argsort(frequency, kind="stable")
    assert (np.diff(np.array(weights)[order]) <= 1e-3).all()
    with_weights, without = (_agreement(probability, grade, one) for one in (weights, (1.0,) * 6))
    assert with_weights >= without or np.isnan(without)


def test_grade_weights_recover_a_rare_grade():
    """1,000 joints of grade 0 and 20 of grade 2 have a probability of grade 2 of .2 and .4."""
    grade = np.repeat([0, 2], [1000, 20])
    probability = np.zeros((1020, 6))
    probability[:, 2] = np.where(grade == 2, 0.4, 0.2)
    probability[:, 0] = 1 - probability[:, 2]
    weights = calibration.grade_weights(probability, grade)
    predicted = ReadOutRule(WEIGHTED_MEDIAN, weights=weights).grade(np.empty(0), probability)
    np.testing.assert_array_equal(predicted, grade)
    assert 1.5 < weights[2] < 4


def test_calibration_rejects_invalid_arguments():
    cdf, reading = _joints(20, 1)
    with pytest.raises(InvalidRequest, match="alpha is a share and must be between 0 and 1, not 0"):
        calibration.conformal_level(cdf, reading, alpha=0)
    with pytest.raises(InvalidRequest, match="no joint to calibrate"):
        calibration.conformal_level(cdf[:0], [])
    with pytest.raises(InvalidRequest, match="no joint to fit"):
        calibration.grade_weights(np.empty((0, 6)), [])
    with pytest.raises(ValueError, match="must have shape"):
        calibration.conformal_level(cdf, reading[:5])


@given(seeds)
@settings(max_examples=20)
def test_calibrated_rule_covers_and_grades_no_worse_than_the_median(seed):
    cdf, reading = _joints(800, seed, certainty=3.0)
    rule = calibration.calibrated_rule(cdf[:400], reading[:400])
    read = read_out(cdf[:400], rule)
    inside = (read.q05 <= reading[:400]) & (reading[:400] <= read.q95)
    # One joint may be exactly at the end of its interval.
    assert inside.sum() >= 0.9 * 400 - 1
    assert rule.grade_by == WEIGHTED_MEDIAN
    unweighted = replace(rule, weights=(1.0,) * 6)
    tuned, plain = (metrics.evaluate(cdf[:400], reading[:400], one)["accuracy_and_kappa"] for one in (rule, unweighted))
    assert tuned >= plain
