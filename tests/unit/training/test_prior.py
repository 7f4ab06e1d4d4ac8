"""Shown as often as needed, expected as often as it occurs."""

import numpy as np
import pytest

from scoring.clinical import ratingen
from scoring.training.prior import prior_shift, times_shown
from scoring.training.sampling import sample_epoch


def readings(n, seed, rare=0.02):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < rare, 90.0, rng.choice([0.0, 5.0], n)).astype(np.float32)


def test_what_is_shown_as_it_occurs_needs_no_shift():
    shown = readings(5000, 1)
    np.testing.assert_allclose(prior_shift(shown, np.ones(5000), shown), 0, atol=1e-6)


def test_what_was_shown_ten_times_too_often_gets_a_tenth_of_the_odds():
    prior_readings = readings(20_000, 2, rare=0.02)
    shown = readings(20_000, 3, rare=0.20)
    shift = prior_shift(shown, np.ones(20_000), prior_readings)
    assert shift.shape == (21,)
    assert shift[18] - shift[0] == pytest.approx(np.log((0.02 / 0.98) / (0.20 / 0.80)), abs=0.1)
    # What neither holds is as likely as before, beside what both hold.
    assert abs(shift[10]) < 0.1


def test_sampling_is_undone_as_enrichment_is():
    """Bayes's rule on frequencies: those of what was shown times the shift are those of what occurs."""
    prior_readings = readings(20_000, 4)
    weight = times_shown(np.asarray(ratingen.grade(prior_readings), np.int64), 0.5)
    shift = prior_shift(prior_readings, weight, prior_readings)
    shown = weight[prior_readings == 90].sum() / weight.sum()
    odds = shown / (1 - shown) * np.exp(shift[18] - shift[0])
    assert odds == pytest.approx((prior_readings == 90).mean() / (prior_readings < 90).mean(), rel=0.2)


def test_the_times_shown_are_those_of_the_sampling():
    grades = np.repeat([0, 1, 3, 5], [700, 250, 40, 10])
    shown = np.bincount(sample_epoch(grades, 0.5, np.random.default_rng(1)), minlength=len(grades))
    expected = times_shown(grades, 0.5)
    for grade in (0, 1, 3, 5):
        assert expected[grades == grade].mean() == pytest.approx(shown[grades == grade].mean(), rel=0.1)
    assert times_shown(grades, 0.0) == pytest.approx(np.ones(1000))
