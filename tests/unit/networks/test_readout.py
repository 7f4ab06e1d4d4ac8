import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.clinical import ratingen
from scoring.networks.readout import WEIGHTED_MEDIAN, ReadOutRule, make_monotone, read_out

raw_outputs = arrays(np.float32, st.tuples(st.integers(0, 4), st.just(101)), elements=st.floats(0, 1, width=32))


def step(erosion_percent):
    return (np.arange(101) >= np.atleast_1d(erosion_percent)[:, np.newaxis]).astype(np.float32)


@given(raw_outputs)
def test_make_monotone_rises_to_1_and_is_never_below_the_raw_output(cdf):
    unchanged = cdf.copy()
    monotone = make_monotone(cdf)
    assert monotone.dtype == cdf.dtype
    assert (np.diff(monotone, axis=1) >= 0).all()
    assert (monotone[:, -1] == 1).all()
    assert (monotone >= cdf).all()
    np.testing.assert_array_equal(cdf, unchanged)
    np.testing.assert_array_equal(make_monotone(monotone), monotone)


@given(raw_outputs)
def test_read_out_stays_within_its_bounds(cdf):
    read = read_out(cdf)
    assert ((read.mean >= 0) & (read.mean <= 100)).all()
    assert ((read.q05 >= 0) & (read.q05 <= read.median) & (read.median <= read.q95) & (read.q95 <= 100)).all()
    assert ((read.grade >= 0) & (read.grade <= 5)).all()
    assert (read.grade_probability >= 0).all()
    np.testing.assert_allclose(read.grade_probability.sum(axis=1), 1, rtol=1e-12)
    assert [read.mean.dtype, read.grade_probability.dtype] == [np.float64] * 2
    assert [values.dtype for values in (read.median, read.q05, read.q95, read.grade)] == [np.int64] * 4


@given(raw_outputs)
def test_read_out_is_the_same_for_raw_and_monotone_output(cdf):
    raw, monotone = read_out(cdf), read_out(make_monotone(cdf))
    np.testing.assert_array_equal(raw.mean, monotone.mean)
    np.testing.assert_array_equal(raw.grade_probability, monotone.grade_probability)


def test_read_out_recovers_every_certain_distribution():
    percents = np.arange(101)
    read = read_out(step(percents))
    for values in (read.mean, read.median, read.q05, read.q95):
        np.testing.assert_array_equal(values, percents)
    np.testing.assert_array_equal(read.grade, ratingen.grade(percents))
    np.testing.assert_array_equal(read.grade_probability, np.eye(6)[read.grade])


@given(raw_outputs)
def test_read_out_quantiles_are_the_first_points_that_reach_the_level(cdf):
    read, monotone = read_out(cdf), make_monotone(cdf).astype(np.float64)
    for level, quantiles in ((0.05, read.q05), (0.5, read.median), (0.95, read.q95)):
        for cumulated, k in zip(monotone, quantiles, strict=True):
            assert cumulated[k] >= level
            assert k == 0 or cumulated[k - 1] < level


@pytest.mark.parametrize(("mean", "grade"), [(0.0, 0), (0.999, 0), (1.0, 1), (20.0, 1), (20.5, 2)])
def test_read_out_gives_grade_0_to_a_mean_below_one_percent(mean, grade):
    # Mass on two neighbouring points gives any mean.
    below = int(mean)
    cdf = step([below + 1]).astype(np.float64)
    cdf[0, below] = 1 - (mean - below)
    assert read_out(cdf).mean[0] == pytest.approx(mean)
    assert read_out(cdf).grade[0] == grade


def test_read_out_has_a_mean_of_at_most_100():
    assert read_out(np.zeros((1, 101))).mean[0] == 100


def test_read_out_grade_probabilities_match_a_calculation_by_hand():
    cdf = np.interp(np.arange(101), [0, 20, 40, 60, 80, 100], [0.5, 0.75, 0.875, 0.9375, 0.96875, 1])[np.newaxis]
    np.testing.assert_allclose(read_out(cdf).grade_probability[0], [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125])


@pytest.mark.parametrize("value", [np.nan, -0.01, 1.01, np.inf])
def test_read_out_rejects_a_value_that_is_not_a_probability(value):
    cdf = np.full((3, 101), 0.5)
    cdf[1, 7] = value
    with pytest.raises(ValueError, match=r"between 0 and 1; the value at index \(1, 7\) is not"):
        read_out(cdf)


@pytest.mark.parametrize("shape", [(101,), (2, 100), (1, 101, 1)])
def test_make_monotone_rejects_another_shape(shape):
    with pytest.raises(ValueError, match=r"shape \(n, 101\)"):
        make_monotone(np.zeros(shape))


def test_read_out_rule_weighted_median_matches_a_calculation_by_hand():
    probability = np.array([[0.6, 0.0, 0.4, 0.0, 0.0, 0.0], [0.9, 0.0, 0.1, 0.0, 0.0, 0.0]])
    plain, heavy = (ReadOutRule(WEIGHTED_MEDIAN, weights=(1, 1, weight, 1, 1, 1)) for weight in (1, 2))
    np.testing.assert_array_equal(plain.grade(np.empty(0), probability), [0, 0])
    np.testing.assert_array_equal(heavy.grade(np.empty(0), probability), [2, 0])
    assert ReadOutRule.from_dict(json.loads(json.dumps(asdict(heavy)))) == heavy


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grade_by": "dice"}, r"Use one of mean, most_probable, weighted_median\."),
        ({"grade_by": WEIGHTED_MEDIAN}, "weights are required for weighted_median"),
        ({"weights": (1,) * 6}, "not allowed otherwise"),
        ({"grade_by": WEIGHTED_MEDIAN, "weights": (1,) * 5}, "must be 6 numbers above 0"),
        ({"grade_by": WEIGHTED_MEDIAN, "weights": (1, 1, 0, 1, 1, 1)}, "must be 6 numbers above 0"),
    ],
)
def test_read_out_rule_rejects_invalid_values(values, message):
    with pytest.raises(ValueError, match=message):
        ReadOutRule(**values)
