import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.clinical import ratingen
from scoring.training.sampling import prior_shift, sample_epoch, times_shown


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 5),
)
def test_sample_epoch_returns_as_many_joints_as_there_are(grades, balance, seed):
    order = sample_epoch(np.array(grades), balance, np.random.default_rng(seed))
    assert len(order) == len(grades)
    if balance == 0:
        assert sorted(order) == list(range(len(grades)))


def test_sample_epoch_oversamples_rare_grades():
    grades = np.array([0] * 900 + [1] * 90 + [5] * 10)
    shown = {
        balance: np.bincount(grades[sample_epoch(grades, balance, np.random.default_rng(0))], minlength=6)
        for balance in (0.0, 0.5, 1.0)
    }
    assert shown[0.0].tolist() == [900, 90, 0, 0, 0, 10]
    # sqrt(900) : sqrt(90) : sqrt(10)
    assert shown[0.5] / 1000 == pytest.approx([0.703, 0.222, 0, 0, 0, 0.074], abs=0.002)
    assert shown[1.0] / 1000 == pytest.approx([1 / 3, 1 / 3, 0, 0, 0, 1 / 3], abs=0.002)


def test_sample_epoch_repeats_rare_joints_equally_often():
    grades = np.array([0] * 970 + [3] * 30)
    order = sample_epoch(grades, 1.0, np.random.default_rng(1))
    times = np.bincount(order, minlength=1000)[970:]
    assert times.max() - times.min() <= 1
    assert times.min() >= 16


def readings(n, seed, rare=0.02):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < rare, 90.0, rng.choice([0.0, 5.0], n)).astype(np.float32)


def test_prior_shift_of_equal_frequencies_is_zero():
    shown = readings(5000, 1)
    np.testing.assert_allclose(prior_shift(shown, np.ones(5000), shown), 0, atol=1e-6)


def test_prior_shift_lowers_the_odds_of_enriched_readings():
    prior_readings = readings(20_000, 2, rare=0.02)
    shown = readings(20_000, 3, rare=0.20)
    shift = prior_shift(shown, np.ones(20_000), prior_readings)
    assert shift.shape == (21,)
    assert shift[18] - shift[0] == pytest.approx(np.log((0.02 / 0.98) / (0.20 / 0.80)), abs=0.1)
    # A reading in neither set keeps its odds.
    assert abs(shift[10]) < 0.1


def test_prior_shift_reverses_oversampling():
    """By Bayes's rule, the frequencies shown times the shift are the natural frequencies."""
    prior_readings = readings(20_000, 4)
    weight = times_shown(np.asarray(ratingen.grade(prior_readings), np.int64), 0.5)
    shift = prior_shift(prior_readings, weight, prior_readings)
    shown = weight[prior_readings == 90].sum() / weight.sum()
    odds = shown / (1 - shown) * np.exp(shift[18] - shift[0])
    assert odds == pytest.approx((prior_readings == 90).mean() / (prior_readings < 90).mean(), rel=0.2)


def test_times_shown_matches_sample_epoch():
    grades = np.repeat([0, 1, 3, 5], [700, 250, 40, 10])
    shown = np.bincount(sample_epoch(grades, 0.5, np.random.default_rng(1)), minlength=len(grades))
    expected = times_shown(grades, 0.5)
    for grade in (0, 1, 3, 5):
        assert expected[grades == grade].mean() == pytest.approx(shown[grades == grade].mean(), rel=0.1)
    assert times_shown(grades, 0.0) == pytest.approx(np.ones(1000))
