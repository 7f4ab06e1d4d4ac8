import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.clinical import ratingen
from scoring.clinical.rau import HUMAN_SDC
from scoring.training.evaluation import sums

percents = st.lists(st.integers(0, 100), min_size=2, max_size=30)


def _sums(read, predicted):
    return sums.moments(read, predicted).sum(axis=0)


def test_icc_by_analysis_of_variance():
    """ICC(2,1) from the mean squares of a two-way layout, as Shrout and Fleiss compute it."""
    table = np.array([[9.0, 2], [6, 1], [8, 4], [7, 1], [10, 5], [6, 2]])
    n, k = table.shape
    grand = table.mean()
    bms = k * ((table.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    jms = n * ((table.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + grand
    ems = (residual**2).sum() / ((n - 1) * (k - 1))
    expected = (bms - ems) / (bms + (k - 1) * ems + k * (jms - ems) / n)
    assert sums.icc(_sums(table[:, 0], table[:, 1])) == pytest.approx(expected)


@given(percents, st.data())
def test_icc_is_one_for_equals_and_symmetric(read, data):
    predicted = data.draw(st.lists(st.integers(0, 100), min_size=len(read), max_size=len(read)))
    assume(len(set(read)) > 1)
    assert sums.icc(_sums(read, read)) == pytest.approx(1)
    there, back = sums.icc(_sums(read, predicted)), sums.icc(_sums(predicted, read))
    assert there == pytest.approx(back, nan_ok=True)
    # With two joints in opposite order, the denominator is 0.
    assert there <= 1 + 1e-9 or (math.isnan(there) and len(read) == 2)


def test_icc_is_lowered_by_a_constant_error():
    read = np.arange(0, 60, 5)
    assert sums.icc(_sums(read, read + 20)) < 0.7


@given(percents)
def test_r2_of_the_mean_is_zero_and_of_the_readings_one(read):
    assume(len(set(read)) > 1)
    assert sums.r2(_sums(read, read)) == pytest.approx(1)
    assert sums.r2(_sums(read, np.full(len(read), np.mean(read)))) == pytest.approx(0, abs=1e-9)


def test_r2_and_icc_are_nan_without_variation():
    assert math.isnan(sums.r2(_sums([5, 5], [0, 10])))
    assert math.isnan(sums.icc(_sums([5, 5], [5, 5])))


def test_sensitivity_at_specificity_by_hand():
    """Of 100 healthy joints, 1 may be called eroded: the threshold is the 99th score."""
    score = np.concatenate([np.arange(100), [97.5, 98.5, 99.5, 200]])
    positive = np.arange(104) >= 100
    assert sums.sensitivity_at_specificity(score, positive, np.ones(104)) == 0.75
    assert sums.sensitivity_at_specificity(score, positive, np.ones(104), specificity=1.0) == 0.5
    # A weight of 2 counts the joint twice, a weight of 0 removes it.
    weight = np.where(np.arange(104) == 100, 2.0, np.arange(104) != 103)
    assert sums.sensitivity_at_specificity(score, positive, weight) == 0.5
    assert math.isnan(sums.sensitivity_at_specificity(score, np.ones(104, bool), np.ones(104)))
    assert math.isnan(sums.sensitivity_at_specificity(score, np.zeros(104, bool), np.ones(104)))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_sensitivity_at_specificity_uses_the_lowest_threshold_that_reaches_it(joints, specificity):
    score, positive, weight = (np.array(column) for column in zip(*joints, strict=True))
    repeated, truly = np.repeat(score, weight), np.repeat(positive, weight)
    assume(truly.any() and not truly.all())
    threshold = min(s for s in repeated[~truly] if np.mean(repeated[~truly] <= s) >= specificity)
    found = sums.sensitivity_at_specificity(score, positive, weight, specificity)
    assert found == pytest.approx(np.mean(repeated[truly] > threshold))


@pytest.mark.parametrize(
    ("reading", "right"),
    [(0, {0, 1}), (5, {1}), (20, {1, 2}), (25, {2}), (40, {2, 3}), (58, {3, 4}), (80, {4, 5}), (100, {5})],
)
def test_border_aware_hits_accepts_both_grades_at_a_border(reading, right):
    hits = sums.border_aware_hits([reading] * 6, range(6))
    assert set(np.flatnonzero(hits)) == right


@given(st.floats(0, 100), st.integers(0, 5))
def test_border_aware_hits_accepts_the_grade_of_the_reading(reading, grade):
    exact = ratingen.grade(reading) == grade
    assert sums.border_aware_hits([reading], [grade])[0] or not exact


def test_pit_is_uniform_over_the_step_at_the_reading():
    """F rises from .2 to .6 at 10 %, so the transform of a reading of 10 is uniform between them."""
    cdf = np.where(np.arange(101) < 10, 0.2, np.where(np.arange(101) < 50, 0.6, 1.0))[np.newaxis]
    found = sums.pit(cdf, [10])[0]
    np.testing.assert_allclose(found[[0, 4, 8, 12, 20]], [0, 0, 0.5, 1, 1], atol=1e-12)
    # Where F does not rise at the reading, the transform is a single value.
    np.testing.assert_allclose(sums.pit(cdf, [30])[0], np.arange(21) / 20 >= 0.6)


def test_calibration_errors_of_calibrated_distributions_are_small():
    rng = np.random.default_rng(2)
    cdf = np.cumsum(rng.dirichlet(np.ones(101), 20_000), axis=1).clip(0, 1)
    cdf[:, -1] = 1
    reading = np.argmax(cdf >= rng.random((20_000, 1)), axis=1)
    even = sums.pit_calibration_error(sums.pit(cdf, reading).mean(axis=0))
    assert even < 0.01
    assert sums.pit_calibration_error(sums.pit(cdf, np.minimum(reading + 20, 100)).mean(axis=0)) > 10 * even
    probability = np.diff(cdf[:, [0, 20, 40, 60, 80]], axis=1, prepend=0, append=1)
    gaps = sums.confidence_bins(probability, ratingen.grade(reading)).sum(axis=0)
    assert sums.expected_calibration_error(gaps) < 0.02


def test_expected_calibration_error_by_hand():
    """Ten joints with probability .9, six correct, and ten with .5, five correct: |.9 - .6| / 2."""
    probability = np.zeros((20, 6))
    probability[:10, :2] = [0.9, 0.1]
    probability[10:, 4:] = [0.5, 0.5]
    grade = [0] * 6 + [1] * 4 + [4] * 5 + [5] * 5
    found = sums.expected_calibration_error(sums.confidence_bins(probability, grade).sum(axis=0))
    assert found == pytest.approx(0.15)


def test_smallest_detectable_change_of_human_readers():
    """2.8 times a reader's SD; the differences of two readers have an SD sqrt(2) times as large."""
    sd = HUMAN_SDC / 2.8
    alone = sums.smallest_detectable_change(np.array(30 * sd**2), np.array(30), reference_errs=False)
    both = sums.smallest_detectable_change(np.array(30 * 2 * sd**2), np.array(30), reference_errs=True)
    assert alone == pytest.approx(HUMAN_SDC, rel=0.011)
    assert both == pytest.approx(alone)
    assert math.isnan(sums.smallest_detectable_change(np.array(0.0), np.array(0), reference_errs=True))
