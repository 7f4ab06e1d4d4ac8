import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.clinical.rau import expectation, quantile, rau_distribution, rau_score

grades_or_missing = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, math.nan])


@st.composite
def joint_probabilities(draw, min_joints=1, max_joints=4):
    """Grade probabilities of a few joints, many of them zero."""
    n_joints = draw(st.integers(min_joints, max_joints))
    weights = draw(arrays(np.float64, (n_joints, 6), elements=st.sampled_from([0.0, 0.0, 1.0, 0.25, 3.0])))
    weights[weights.sum(axis=1) == 0] = 1
    return weights / weights.sum(axis=1, keepdims=True)


def by_enumeration(grade_probability):
    """Distribution of the sum of grades, by enumerating every combination."""
    n_joints = len(grade_probability)
    probability = np.zeros(5 * n_joints + 1)
    for grades in itertools.product(range(6), repeat=n_joints):
        probability[sum(grades)] += math.prod(grade_probability[j][g] for j, g in enumerate(grades))
    return probability


@pytest.mark.parametrize(
    ("grades", "expected"),
    [([5] * 32, 190), ([1] + [0] * 9, 3.8), ([1] + [0] * 31, 1.1875), ([5] * 38, 190), ([0] * 10, 0)],
)
def test_rau_score_of_known_grades(grades, expected):
    assert rau_score(grades) == pytest.approx(expected, abs=1e-12)


def test_rau_score_without_a_scored_joint_is_missing():
    assert math.isnan(rau_score([]))
    np.testing.assert_array_equal(rau_score([[math.nan, math.nan], [math.nan, 2]]), [math.nan, 76])


@given(st.lists(grades_or_missing, max_size=40))
def test_rau_score_ignores_missing_grades(grades):
    scored = [grade for grade in grades if not math.isnan(grade)]
    assert rau_score(grades) == pytest.approx(rau_score(scored), nan_ok=True)
    assert math.isnan(rau_score(grades)) or 0 <= rau_score(grades) <= 190


@given(st.lists(st.integers(0, 4), min_size=1, max_size=38), st.data())
def test_rau_score_increases_by_the_share_of_a_worse_joint(grades, data):
    worse = list(grades)
    worse[data.draw(st.integers(0, len(grades) - 1))] += 1
    assert rau_score(worse) == pytest.approx(rau_score(grades) + 38 / len(grades))


@pytest.mark.parametrize(
    ("grades", "message"),
    [
        ([0, 6], "grade must be between 0 and 5: the value at index 1 is not"),
        ([-1], "grade must be between 0 and 5: the value at index 0 is not"),
        ([2, 2.5], "grade must be a whole number: the value at index 1 is not"),
        (3, "joints along its last axis"),
    ],
)
def test_rau_score_rejects_invalid_grades(grades, message):
    with pytest.raises(ValueError, match=message):
        rau_score(grades)


@given(joint_probabilities())
def test_rau_distribution_equals_the_enumeration_of_all_grades(grade_probability):
    support, probability = rau_distribution(grade_probability)
    np.testing.assert_allclose(probability, by_enumeration(grade_probability), atol=1e-12)
    np.testing.assert_allclose(support, np.arange(5 * len(grade_probability) + 1) * 38 / len(grade_probability))


def estimated(grade_probability):
    """The statistics of a distribution that the warehouse stores."""
    support, probability = rau_distribution(grade_probability)
    levels = {"median": 0.5, "q05": 0.05, "q95": 0.95}
    return SimpleNamespace(
        expected=expectation(support, probability),
        **{name: quantile(support, probability, level) for name, level in levels.items()},
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=38))
def test_rau_distribution_of_certain_grades_gives_their_score(grades):
    estimate = estimated(np.eye(6)[grades])
    for value in (estimate.expected, estimate.median, estimate.q05, estimate.q95):
        assert value == pytest.approx(rau_score(grades), abs=1e-9)


@given(joint_probabilities(max_joints=8))
def test_expectation_is_the_score_of_the_expected_grades(grade_probability):
    expected_grades = grade_probability @ np.arange(6)
    estimate = estimated(grade_probability)
    assert estimate.expected == pytest.approx(expected_grades.mean() * 38, abs=1e-9)
    assert 0 <= estimate.q05 <= estimate.median <= estimate.q95 <= 190


@given(joint_probabilities(max_joints=6), st.data())
def test_rau_distribution_shifts_up_when_a_joint_gets_worse(grade_probability, data):
    joint = data.draw(st.integers(0, len(grade_probability) - 1))
    worse = grade_probability.copy()
    worse[joint] = [0, *worse[joint, :4], worse[joint, 4:].sum()]
    before, after = estimated(grade_probability), estimated(worse)
    for name in ("expected", "median", "q05", "q95"):
        assert getattr(after, name) >= getattr(before, name) - 1e-9


@given(joint_probabilities(max_joints=5), st.randoms(use_true_random=False))
def test_rau_distribution_does_not_depend_on_the_order_of_joints(grade_probability, random):
    shuffled = grade_probability[random.sample(range(len(grade_probability)), len(grade_probability))]
    np.testing.assert_allclose(rau_distribution(shuffled)[1], rau_distribution(grade_probability)[1], atol=1e-12)


def test_rau_distribution_of_a_batch_equals_that_of_single_radiographs_exactly():
    grade_probability = np.random.default_rng(0).dirichlet(np.full(6, 0.3), size=(7, 10))
    support, probability = rau_distribution(grade_probability)
    for radiograph in range(7):
        np.testing.assert_array_equal(probability[radiograph], rau_distribution(grade_probability[radiograph])[1])
        estimate = estimated(grade_probability[radiograph])
        assert expectation(support, probability)[radiograph] == estimate.expected
        assert quantile(support, probability, 0.95)[radiograph] == estimate.q95


def test_quantile_of_ten_fair_coins():
    # A sum of ten fair coins has 5 % and 95 % quantiles 2 and 8; a grade on ten joints is worth 3.8.
    estimate = estimated(np.tile([0.5, 0.5, 0, 0, 0, 0], (10, 1)))
    assert (estimate.q05, estimate.median, estimate.q95) == pytest.approx((7.6, 19, 30.4))


@pytest.mark.parametrize(
    ("grade_probability", "message"),
    [
        ([[0.5, 0.5, 0, 0, 0]], r"shape \(..., n_joints, 6\)"),
        ([[1.5, -0.5, 0, 0, 0, 0]], r"between 0 and 1: the value at index \(0, 0\)"),
        ([[0.5, 0.4, 0, 0, 0, 0]], "sum to 1: the value at index 0"),
        ([[1, 0, 0, 0, 0, math.nan]], "sum to 1: the value at index 0"),
        (np.empty((0, 6)), "no joint"),
    ],
)
def test_rau_distribution_rejects_invalid_probabilities(grade_probability, message):
    with pytest.raises(ValueError, match=message):
        rau_distribution(grade_probability)
