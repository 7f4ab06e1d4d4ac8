import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.networks.readout import MOST_PROBABLE, ReadOutRule
from scoring.training.evaluation import metrics

confusions = arrays(np.int64, (6, 6), elements=st.integers(0, 50)).filter(lambda confusion: confusion.any())

# Joints per true grade of the thesis's test set, as published, for a model that predicts grade 0 for every joint.
ALWAYS_0 = np.zeros((6, 6), dtype=np.int64)
ALWAYS_0[:, 0] = [6961, 2808, 255, 110, 64, 158]


def step(erosion_percent):
    return (np.arange(101) >= np.asarray(erosion_percent)[:, np.newaxis]).astype(np.float32)


def test_confusion_matrix_has_the_truth_in_rows():
    confusion = metrics.confusion_matrix([0, 0, 5], [0, 1, 4])
    assert confusion.shape == (6, 6)
    assert (confusion[0, 0], confusion[0, 1], confusion[5, 4], confusion.sum()) == (1, 1, 1, 3)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_confusion_matrix_counts_every_pair_once(pairs):
    truth, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    confusion = metrics.confusion_matrix(truth, predicted)
    for i in range(6):
        for j in range(6):
            assert confusion[i, j] == pairs.count((i, j))


@pytest.mark.parametrize("bad", [6, -1, 1.5, math.nan])
def test_confusion_matrix_rejects_invalid_grades(bad):
    with pytest.raises(ValueError, match="truth must be a whole number within 0 to 5: the value at index 1"):
        metrics.confusion_matrix([0, bad], [0, 0])
    with pytest.raises(ValueError, match="predicted must be"):
        metrics.confusion_matrix([0, 0], [0, bad])


def test_confusion_matrix_rejects_different_lengths():
    with pytest.raises(ValueError, match="same length"):
        metrics.confusion_matrix([0, 1], [0])


def test_confusion_measures_of_always_0_are_as_published():
    found = metrics.confusion_measures(ALWAYS_0)
    assert found["accuracy"] == pytest.approx(0.672, abs=5e-4)
    assert metrics.class_normalized_accuracy(ALWAYS_0) == pytest.approx(1 / 6)
    assert metrics.within_one_accuracy(ALWAYS_0) == pytest.approx(2 / 6)
    assert metrics.quadratic_weighted_kappa(ALWAYS_0) == pytest.approx(0, abs=1e-12)
    assert found["gross_errors"] == 110 + 64 + 158


def test_confusion_measures_by_hand():
    confusion = np.array([[8, 2, 0], [1, 2, 1], [1, 0, 1]])
    assert metrics.confusion_measures(confusion)["accuracy"] == pytest.approx(11 / 16)
    assert metrics.class_normalized_accuracy(confusion) == pytest.approx((0.8 + 0.5 + 0.5) / 3)
    assert metrics.within_one_accuracy(confusion) == pytest.approx((1 + 1 + 0.5) / 3)
    # Squared distances: observed 2 + 1 + 1 + 4 = 8. By chance, from margins (10, 4, 2) and (10, 4, 2) of 16:
    # (40 + 40 + 8 + 8 + 4 * 20 + 4 * 20) / 16 = 16. Kappa = 1 - 8 / 16.
    assert metrics.quadratic_weighted_kappa(confusion) == pytest.approx(0.5)


def test_confusion_measures_exclude_grades_without_joints():
    confusion = metrics.confusion_matrix([0, 0, 1, 1], [0, 0, 0, 1])
    assert metrics.class_normalized_accuracy(confusion) == pytest.approx(0.75)
    assert metrics.within_one_accuracy(confusion) == 1


@given(confusions)
def test_confusion_measures_are_ordered_and_bounded(confusion):
    exact, near = metrics.class_normalized_accuracy(confusion), metrics.within_one_accuracy(confusion)
    assert 0 <= exact <= near <= 1 + 1e-12
    kappa = metrics.quadratic_weighted_kappa(confusion)
    assert math.isnan(kappa) or -1 - 1e-12 <= kappa <= 1


@given(confusions, st.integers(2, 9))
def test_quadratic_weighted_kappa_is_invariant_to_size_and_swapped_raters(confusion, factor):
    kappa = metrics.quadratic_weighted_kappa(confusion)
    assert metrics.quadratic_weighted_kappa(confusion * factor) == pytest.approx(kappa, abs=1e-9, nan_ok=True)
    assert metrics.quadratic_weighted_kappa(confusion.T) == pytest.approx(kappa, abs=1e-9, nan_ok=True)


@given(confusions, st.integers(0, 5), st.integers(2, 9))
def test_class_normalized_accuracy_is_invariant_to_prevalence(confusion, grade, factor):
    more = confusion.copy()
    more[grade] *= factor
    assert metrics.class_normalized_accuracy(more) == pytest.approx(metrics.class_normalized_accuracy(confusion))
    assert metrics.within_one_accuracy(more) == pytest.approx(metrics.within_one_accuracy(confusion))


@given(arrays(np.int64, 6, elements=st.integers(0, 50)))
def test_confusion_measures_of_perfect_agreement_are_one(counts):
    assume((counts > 0).sum() >= 2)
    confusion = np.diag(counts)
    found = metrics.confusion_measures(confusion)
    assert found.pop("gross_errors") == 0
    assert all(value == pytest.approx(1) for value in found.values())


def test_confusion_measures_without_joints_are_nan():
    found = metrics.confusion_measures(np.zeros((6, 6), dtype=np.int64))
    assert found.pop("gross_errors") == 0
    assert all(math.isnan(value) for value in found.values())


def test_quadratic_weighted_kappa_of_a_single_grade_is_nan():
    assert math.isnan(metrics.quadratic_weighted_kappa(metrics.confusion_matrix([0, 0], [0, 0])))


@pytest.mark.parametrize(("proportion", "low", "high"), [(0.436, 0.430, 0.443), (0.422, 0.415, 0.429)])
def test_wilson_interval_of_the_thesis(proportion, low, high):
    # For 19,611 validation joints; published with three decimals, so all numbers are rounded.
    assert metrics.wilson_interval(proportion, 19_611) == pytest.approx((low, high), abs=1e-3)


def test_wilson_interval_by_hand():
    # No success in 10: upper limit z^2 / (10 + z^2).
    z = 1.959963984540054
    assert metrics.wilson_interval(0, 10) == pytest.approx((0, z**2 / (10 + z**2)))


@given(st.integers(1, 500), st.data(), st.floats(0.5, 0.999))
def test_wilson_interval_ends_where_the_score_test_just_rejects(n, data, confidence):
    proportion = data.draw(st.integers(0, n)) / n
    low, high = metrics.wilson_interval(proportion, n, confidence)
    assert 0 <= low <= proportion + 1e-12
    assert proportion - 1e-12 <= high <= 1
    wider = metrics.wilson_interval(proportion, n, confidence + (1 - confidence) / 2)
    assert wider[0] <= low + 1e-12
    assert wider[1] >= high - 1e-12
    for limit in (low, high):
        if 1e-6 < limit < 1 - 1e-6:
            half = (confidence + 1) / 2
            distance = abs(proportion - limit) / math.sqrt(limit * (1 - limit) / n)
            assert 0.5 * (1 + math.erf(distance / math.sqrt(2))) == pytest.approx(half, abs=1e-6)


@pytest.mark.parametrize("arguments", [(1.1, 10, 0.95), (math.nan, 10, 0.95), (0.5, 0, 0.95), (0.5, 10, 1.0)])
def test_wilson_interval_rejects_values_out_of_range(arguments):
    with pytest.raises(ValueError, match="must be"):
        metrics.wilson_interval(*arguments)


def test_crps_by_hand():
    assert metrics.crps(step([0, 37, 100]), [0, 37, 100]) == 0
    assert metrics.crps(step([10]), [30]) == pytest.approx(20 / 101)
    assert metrics.crps(np.full((1, 101), 0.5), [42]) == pytest.approx(0.25)
    # H(k - R) = 1 for k >= R: the step of a reading between two points is at the upper one.
    assert metrics.crps(step([13]), [12.5]) == 0


@given(st.floats(0, 100), arrays(np.float64, (1, 101), elements=st.floats(0, 1)))
def test_crps_is_between_0_and_1(erosion_percent, cdf):
    assert 0 <= metrics.crps(cdf, [erosion_percent]) <= 1


def test_crps_rejects_wrong_shapes_and_missing_readings():
    with pytest.raises(ValueError, match=r"shape \(2, 101\)"):
        metrics.crps(step([1]), [1, 2])
    with pytest.raises(ValueError, match="between 0 and 100: the value at index 1"):
        metrics.crps(step([1, 1]), [1, math.nan])


def test_evaluate_returns_all_measures():
    evaluated = metrics.evaluate(step([0, 0, 30, 90]), [0, 15, 30, 10])
    assert evaluated == {
        "n": 4,
        "accuracy": pytest.approx(0.5),
        # Grade 0: correct. Grade 1: predicted as 0 and as 5. Grade 2: correct.
        "class_normalized_accuracy": pytest.approx((1 + 0 + 1) / 3),
        "within_one_accuracy": pytest.approx((1 + 0.5 + 1) / 3),
        # Squared distances: observed 1 + 16; over all pairs of truths 0, 1, 1, 2 and predictions 0, 0, 2, 5 they sum to
        # 29 + 19 + 19 + 17 = 84, a quarter of which is expected by chance.
        "quadratic_weighted_kappa": pytest.approx(1 - 17 / 21),
        "accuracy_and_kappa": pytest.approx((2 / 3 + 1 - 17 / 21) / 2),
        "gross_errors": 1,
        "crps": pytest.approx((15 + 80) / 101 / 4),
        "mse": pytest.approx((15**2 + 80**2) / 4),
        "mae": pytest.approx((15 + 80) / 4),
    }


def test_evaluate_scores_the_monotone_output():
    dip = step([0])
    dip[0, 50] = 0
    assert metrics.evaluate(dip, [0])["crps"] == 0


def test_evaluate_reads_grades_by_the_rule():
    """For equal parts of 0 and 20 %, the mean of 10 % is grade 1, but the most probable grade is 0."""
    mixture = (step([0]) + step([20])) / 2
    assert metrics.evaluate(mixture, [0])["accuracy"] == 0
    assert metrics.evaluate(mixture, [0], ReadOutRule(MOST_PROBABLE))["accuracy"] == 1


def test_evaluate_without_joints_is_nan():
    evaluated = metrics.evaluate(np.empty((0, 101)), [])
    assert evaluated.pop("n") == evaluated.pop("gross_errors") == 0
    assert all(math.isnan(value) for value in evaluated.values())


def test_confusion_measures_have_the_erosion_recall_as_mean_of_sensitivity_and_specificity():
    found = metrics.confusion_measures(ALWAYS_0)
    assert found["erosion_unweighted_recall"] == 0.5
    confusion = metrics.confusion_matrix([0, 0, 0, 0, 1, 5], [0, 0, 0, 1, 2, 0])
    assert metrics.confusion_measures(confusion)["erosion_unweighted_recall"] == pytest.approx((0.75 + 0.5) / 2)


@settings(max_examples=30)
@given(st.lists(confusions, min_size=1, max_size=4))
def test_confusion_measures_of_many_matrices_equal_those_of_each(several):
    together = metrics.confusion_measures(np.stack(several))
    for i, confusion in enumerate(several):
        alone = metrics.confusion_measures(confusion)
        for name, values in together.items():
            assert values[i] == pytest.approx(float(alone[name]), nan_ok=True), name
