from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidRequest
from scoring.networks.readout import N_POINTS, USUAL_RULE, WEIGHTED_MEDIAN, ReadOutRule, make_monotone, read_out
from scoring.training.evaluation import calibration, metrics

seeds = st.integers(0, 10_000)


def _joints(n, seed, sure=1.0):
    """Readings, and distributions around a noisy sight of them; `sure` makes these narrower than the noise."""
    rng = np.random.default_rng(seed)
    reading = rng.choice([0, 0, 0, 5, 10, 20, 25, 40, 45, 60, 75, 80, 90, 100], n)
    centre = reading + rng.logistic(0, 4, n)
    cdf = 1 / (1 + np.exp(-(np.arange(N_POINTS) - centre[:, None]) * sure / 4))
    return cdf.astype(np.float32), reading


def _interval(cdf, level):
    read = read_out(cdf, ReadOutRule(interval_level=level))
    return read.q05, read.q95


def _covered(cdf, reading, level):
    low, high = _interval(cdf, level)
    return (low <= reading) & (reading <= high)


@given(seeds, st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([0.05, 0.1, 0.2]))
@settings(max_examples=40)
def test_intervals_cover_joints_like_those_they_were_fitted_on(seed, sure, alpha):
    """Whether the network is too sure or not sure enough."""
    cdf, reading = _joints(4000, seed, sure)
    level = calibration.conformal_level(cdf[:2000], reading[:2000], alpha)
    covered = _covered(cdf[2000:], reading[2000:], level).mean()
    # Four standard errors of two samples of 2,000 are 3.8 points at 10 %.
    assert covered >= 1 - alpha - 4 * np.sqrt(alpha * (1 - alpha) * 2 / 2000)


def test_coverage_is_not_far_above_what_was_asked_for():
    """A network that is not sure enough: its own intervals are too wide, the fitted ones are not."""
    cdf, reading = _joints(8000, 1, sure=0.4)
    level = calibration.conformal_level(cdf[:4000], reading[:4000])
    usual = USUAL_RULE.interval_level
    assert _covered(cdf[4000:], reading[4000:], usual).mean() > 0.97
    assert 0.88 < _covered(cdf[4000:], reading[4000:], level).mean() < 0.93
    fitted, own = (np.diff(_interval(cdf[4000:], one), axis=0).mean() for one in (level, usual))
    assert fitted < 0.8 * own


@given(seeds, st.floats(0, 1))
def test_a_joint_is_covered_if_its_score_is_below_the_level_and_not_if_it_is_above(seed, level):
    cdf, reading = _joints(50, seed)
    below, upto = metrics.around(make_monotone(cdf), reading)
    score = np.maximum(1 - 2 * upto, 2 * below - 1)
    for tried in (level, *score[score >= 0]):
        # Levels are rounded to 12 digits.
        apart = np.abs(score - tried) > 1e-9
        np.testing.assert_array_equal(_covered(cdf, reading, tried)[apart], (score < tried)[apart])


@given(seeds, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_level_gives_an_interval_that_holds_the_lower_ones(seed, one, other):
    cdf, _ = _joints(20, seed)
    inner, outer = (_interval(cdf, level) for level in sorted((one, other)))
    assert (outer[0] <= inner[0]).all()
    assert (inner[0] <= inner[1]).all()
    assert (inner[1] <= outer[1]).all()


def test_the_rank_of_the_level_by_hand():
    """Nine joints at 10 %: the ceil(10 * .9) = 9th, the largest score. Eight promise nothing."""
    cdf, reading = _joints(9, 4)
    below, upto = metrics.around(make_monotone(cdf), reading)
    level = calibration.conformal_level(cdf, reading)
    assert level == pytest.approx(np.maximum(1 - 2 * upto, 2 * below - 1).max(), abs=2e-7)
    assert calibration.conformal_level(cdf[:8], reading[:8]) == 1
    low, high = _interval(cdf, 1.0)
    assert (low == 0).all()
    assert (make_monotone(cdf)[np.arange(9), high] == 1).all()


@pytest.mark.parametrize("steps", [50, 100, 1000])
def test_intervals_cover_where_distributions_rise_in_steps(steps):
    """Many joints then have the very score that is the level; none of them may fall out."""
    cdf, reading = _joints(4000, 5)
    stepped = np.round(make_monotone(cdf) * steps) / steps
    level = calibration.conformal_level(stepped[:2000], reading[:2000])
    assert level < 1
    assert _covered(stepped[:2000], reading[:2000], level).mean() >= 0.9


def _agreement(probability, grade, weights):
    called = ReadOutRule(WEIGHTED_MEDIAN, weights=weights).grade(np.empty(0), probability)
    return metrics.of_confusions(metrics.confusion_matrix(grade, called))["accuracy_and_kappa"]


@given(seeds, st.integers(1, 200))
@settings(max_examples=40)
def test_weights_rise_with_rarity_and_are_no_worse_than_none(seed, n):
    cdf, reading = _joints(n, seed)
    probability = read_out(cdf).grade_probability
    grade = np.asarray(metrics.ratingen.grade(reading), dtype=np.int64)
    weights = calibration.grade_weights(probability, grade)
    assert weights[0] == 1
    frequency = np.bincount(grade, minlength=6)
    order = np.argsort(frequency, kind="stable")
    assert (np.diff(np.array(weights)[order]) <= 1e-3).all()
    with_weights, without = (_agreement(probability, grade, one) for one in (weights, (1.0,) * 6))
    assert with_weights >= without or np.isnan(without)


def test_rare_grades_that_are_never_called_get_their_weight():
    """Of 1,000 joints of grade 0 and 20 of grade 2, each is given 2 with the probability .2 or .4."""
    grade = np.repeat([0, 2], [1000, 20])
    probability = np.zeros((1020, 6))
    probability[:, 2] = np.where(grade == 2, 0.4, 0.2)
    probability[:, 0] = 1 - probability[:, 2]
    weights = calibration.grade_weights(probability, grade)
    called = ReadOutRule(WEIGHTED_MEDIAN, weights=weights).grade(np.empty(0), probability)
    np.testing.assert_array_equal(called, grade)
    assert 1.5 < weights[2] < 4


def test_what_makes_no_sense_is_refused():
    cdf, reading = _joints(20, 1)
    with pytest.raises(InvalidRequest, match="alpha is 0"):
        calibration.conformal_level(cdf, reading, alpha=0)
    with pytest.raises(InvalidRequest, match="no joint to calibrate"):
        calibration.conformal_level(cdf[:0], [])
    with pytest.raises(InvalidRequest, match="no joint to fit"):
        calibration.grade_weights(np.empty((0, 6)), [])
    with pytest.raises(ValueError, match="must have shape"):
        calibration.conformal_level(cdf, reading[:5])


@given(seeds)
@settings(max_examples=20)
def test_a_calibrated_rule_covers_and_grades_no_worse_than_the_median(seed):
    cdf, reading = _joints(800, seed, sure=3.0)
    rule = calibration.calibrated_rule(cdf[:400], reading[:400])
    read = read_out(cdf[:400], rule)
    inside = (read.q05 <= reading[:400]) & (reading[:400] <= read.q95)
    # One joint may lie on the very end of its interval.
    assert inside.sum() >= 0.9 * 400 - 1
    assert rule.grade_by == WEIGHTED_MEDIAN
    unweighted = replace(rule, weights=(1.0,) * 6)
    tuned, plain = (metrics.evaluate(cdf[:400], reading[:400], one)["accuracy_and_kappa"] for one in (rule, unweighted))
    assert tuned >= plain
