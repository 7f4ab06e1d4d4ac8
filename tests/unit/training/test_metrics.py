import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.clinical.rau import HUMAN_SDC
from scoring.networks.readout import MOST_PROBABLE, ReadOutRule
from scoring.training.evaluation import metrics

confusions = arrays(np.int64, (6, 6), elements=st.integers(0, 50)).filter(lambda confusion: confusion.any())

# Joints of the thesis's test set in each true grade, as published; a model that calls every joint healthy.
ALWAYS_0 = np.zeros((6, 6), dtype=np.int64)
ALWAYS_0[:, 0] = [6961, 2808, 255, 110, 64, 158]


def step(erosion_percent):
    return (np.arange(101) >= np.asarray(erosion_percent)[:, np.newaxis]).astype(np.float32)


def test_rows_of_the_confusion_matrix_are_the_truth():
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
def test_what_is_no_grade_is_refused(bad):
    with pytest.raises(ValueError, match="truth must be a whole number within 0 to 5: the value at index 1"):
        metrics.confusion_matrix([0, bad], [0, 0])
    with pytest.raises(ValueError, match="predicted must be"):
        metrics.confusion_matrix([0, 0], [0, bad])


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="same length"):
        metrics.confusion_matrix([0, 1], [0])


def test_calling_every_joint_healthy_scores_as_published():
    assert metrics.accuracy(ALWAYS_0) == pytest.approx(0.672, abs=5e-4)
    assert metrics.class_normalized_accuracy(ALWAYS_0) == pytest.approx(1 / 6)
    assert metrics.within_one_accuracy(ALWAYS_0) == pytest.approx(2 / 6)
    assert metrics.quadratic_weighted_kappa(ALWAYS_0) == pytest.approx(0, abs=1e-12)
    assert metrics.gross_errors(ALWAYS_0) == 110 + 64 + 158


def test_measures_by_hand_on_a_small_matrix():
    confusion = np.array([[8, 2, 0], [1, 2, 1], [1, 0, 1]])
    assert metrics.accuracy(confusion) == pytest.approx(11 / 16)
    assert metrics.class_normalized_accuracy(confusion) == pytest.approx((0.8 + 0.5 + 0.5) / 3)
    assert metrics.within_one_accuracy(confusion) == pytest.approx((1 + 1 + 0.5) / 3)
    # Squared distances: observed 2 + 1 + 1 + 4 = 8. By chance, from margins (10, 4, 2) and (10, 4, 2) of 16:
    # (40 + 40 + 8 + 8 + 4 * 20 + 4 * 20) / 16 = 16. Kappa = 1 - 8 / 16.
    assert metrics.quadratic_weighted_kappa(confusion) == pytest.approx(0.5)


def test_a_grade_that_nobody_has_is_left_out_of_the_mean():
    confusion = metrics.confusion_matrix([0, 0, 1, 1], [0, 0, 0, 1])
    assert metrics.class_normalized_accuracy(confusion) == pytest.approx(0.75)
    assert metrics.within_one_accuracy(confusion) == 1


@given(confusions)
def test_measures_keep_their_order_and_bounds(confusion):
    exact, near = metrics.class_normalized_accuracy(confusion), metrics.within_one_accuracy(confusion)
    assert 0 <= exact <= near <= 1 + 1e-12
    kappa = metrics.quadratic_weighted_kappa(confusion)
    assert math.isnan(kappa) or -1 - 1e-12 <= kappa <= 1


@given(confusions, st.integers(2, 9))
def test_kappa_does_not_change_with_the_number_of_joints_or_when_raters_swap(confusion, factor):
    kappa = metrics.quadratic_weighted_kappa(confusion)
    assert metrics.quadratic_weighted_kappa(confusion * factor) == pytest.approx(kappa, abs=1e-9, nan_ok=True)
    assert metrics.quadratic_weighted_kappa(confusion.T) == pytest.approx(kappa, abs=1e-9, nan_ok=True)


@given(confusions, st.integers(0, 5), st.integers(2, 9))
def test_class_normalised_measures_do_not_change_with_prevalence(confusion, grade, factor):
    more = confusion.copy()
    more[grade] *= factor
    assert metrics.class_normalized_accuracy(more) == pytest.approx(metrics.class_normalized_accuracy(confusion))
    assert metrics.within_one_accuracy(more) == pytest.approx(metrics.within_one_accuracy(confusion))


@given(arrays(np.int64, 6, elements=st.integers(0, 50)))
def test_perfect_agreement(counts):
    assume((counts > 0).sum() >= 2)
    confusion = np.diag(counts)
    for measure in (
        metrics.accuracy,
        metrics.class_normalized_accuracy,
        metrics.within_one_accuracy,
        metrics.quadratic_weighted_kappa,
    ):
        assert measure(confusion) == pytest.approx(1)
    assert metrics.gross_errors(confusion) == 0


def test_without_joints_there_is_no_measure():
    nothing = np.zeros((6, 6), dtype=np.int64)
    for measure in (
        metrics.accuracy,
        metrics.class_normalized_accuracy,
        metrics.within_one_accuracy,
        metrics.quadratic_weighted_kappa,
    ):
        assert math.isnan(measure(nothing))


def test_kappa_of_a_single_grade_is_undefined():
    assert math.isnan(metrics.quadratic_weighted_kappa(metrics.confusion_matrix([0, 0], [0, 0])))


@pytest.mark.parametrize(("proportion", "low", "high"), [(0.436, 0.430, 0.443), (0.422, 0.415, 0.429)])
def test_wilson_interval_of_the_thesis(proportion, low, high):
    # For 19,611 validation joints; proportion and limits are published with three decimals, so both are rounded.
    assert metrics.wilson_interval(proportion, 19_611) == pytest.approx((low, high), abs=1e-3)


def test_wilson_interval_by_hand():
    # No success in 10: upper limit z^2 / (10 + z^2).
    z = 1.959963984540054
    assert metrics.wilson_interval(0, 10) == pytest.approx((0, z**2 / (10 + z**2)))


@given(st.integers(1, 500), st.data(), st.floats(0.5, 0.999))
def test_wilson_limits_are_where_the_score_test_just_rejects(n, data, confidence):
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
def test_wilson_interval_refuses_what_is_no_proportion(arguments):
    with pytest.raises(ValueError, match="must be"):
        metrics.wilson_interval(*arguments)


def test_crps_by_hand():
    assert metrics.crps(step([0, 37, 100]), [0, 37, 100]) == 0
    assert metrics.crps(step([10]), [30]) == pytest.approx(20 / 101)
    assert metrics.crps(np.full((1, 101), 0.5), [42]) == pytest.approx(0.25)
    # H(k - R) = 1 for k >= R: a reading between two points jumps at the next one.
    assert metrics.crps(step([13]), [12.5]) == 0


@given(st.floats(0, 100), arrays(np.float64, (1, 101), elements=st.floats(0, 1)))
def test_crps_is_between_0_and_1(erosion_percent, cdf):
    assert 0 <= metrics.crps(cdf, [erosion_percent]) <= 1


def test_crps_refuses_shapes_that_do_not_fit_and_missing_readings():
    with pytest.raises(ValueError, match=r"shape \(2, 101\)"):
        metrics.crps(step([1]), [1, 2])
    with pytest.raises(ValueError, match="within 0 to 100: the value at index 1"):
        metrics.crps(step([1, 1]), [1, math.nan])


def test_errors_in_percent_by_hand():
    assert metrics.mse([0, 10], [5, 40]) == pytest.approx((25 + 900) / 2)
    assert metrics.mae([0, 10], [5, 40]) == pytest.approx(17.5)
    with pytest.raises(ValueError, match="same length"):
        metrics.mae([0.0], [1, 2])


def test_evaluate_puts_all_measures_together():
    evaluated = metrics.evaluate(step([0, 0, 30, 90]), [0, 15, 30, 10])
    assert evaluated == {
        "n": 4,
        "accuracy": pytest.approx(0.5),
        # Grade 0: right. Grade 1: read as 0 and as 5. Grade 2: right.
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
    """Half and half on 0 and 20 %: a mean of 10 is grade 1, the more probable grade of the two is the lower."""
    torn = (step([0]) + step([20])) / 2
    assert metrics.evaluate(torn, [0])["accuracy"] == 0
    assert metrics.evaluate(torn, [0], ReadOutRule(MOST_PROBABLE))["accuracy"] == 1


def test_evaluate_of_nothing_is_missing_everywhere():
    evaluated = metrics.evaluate(np.empty((0, 101)), [])
    assert evaluated.pop("n") == evaluated.pop("gross_errors") == 0
    assert all(math.isnan(value) for value in evaluated.values())


percents = st.lists(st.integers(0, 100), min_size=2, max_size=30)


def _sums(read, predicted):
    return metrics.moments(read, predicted).sum(axis=0)


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
    assert metrics.icc(_sums(table[:, 0], table[:, 1])) == pytest.approx(expected)


@given(percents, st.data())
def test_icc_is_one_for_equals_and_symmetric(read, data):
    predicted = data.draw(st.lists(st.integers(0, 100), min_size=len(read), max_size=len(read)))
    assume(len(set(read)) > 1)
    assert metrics.icc(_sums(read, read)) == pytest.approx(1)
    there, back = metrics.icc(_sums(read, predicted)), metrics.icc(_sums(predicted, read))
    assert there == pytest.approx(back, nan_ok=True)
    # Two joints that the raters see in opposite order leave nothing to divide by.
    assert there <= 1 + 1e-9 or (math.isnan(there) and len(read) == 2)


def test_a_constant_error_lowers_the_icc_and_not_the_correlation():
    read = np.arange(0, 60, 5)
    assert metrics.icc(_sums(read, read + 20)) < 0.7


@given(percents)
def test_r2_of_the_mean_is_zero_and_of_the_readings_one(read):
    assume(len(set(read)) > 1)
    assert metrics.r2(_sums(read, read)) == pytest.approx(1)
    assert metrics.r2(_sums(read, np.full(len(read), np.mean(read)))) == pytest.approx(0, abs=1e-9)


def test_measures_of_sums_are_undefined_where_nothing_varies():
    assert math.isnan(metrics.r2(_sums([5, 5], [0, 10])))
    assert math.isnan(metrics.icc(_sums([5, 5], [5, 5])))


def test_sensitivity_at_a_specificity_by_hand():
    """Of 100 healthy joints one may be called eroded: the threshold is the 99th score."""
    score = np.concatenate([np.arange(100), [97.5, 98.5, 99.5, 200]])
    positive = np.arange(104) >= 100
    assert metrics.sensitivity_at_specificity(score, positive, np.ones(104)) == 0.75
    assert metrics.sensitivity_at_specificity(score, positive, np.ones(104), specificity=1.0) == 0.5
    # A weight of two is the joint twice, a weight of none is its absence.
    weight = np.where(np.arange(104) == 100, 2.0, np.arange(104) != 103)
    assert metrics.sensitivity_at_specificity(score, positive, weight) == 0.5
    assert math.isnan(metrics.sensitivity_at_specificity(score, np.ones(104, bool), np.ones(104)))
    assert math.isnan(metrics.sensitivity_at_specificity(score, np.zeros(104, bool), np.ones(104)))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_the_threshold_keeps_the_specificity_and_no_lower_one_does(joints, specificity):
    score, positive, weight = (np.array(column) for column in zip(*joints, strict=True))
    repeated, truly = np.repeat(score, weight), np.repeat(positive, weight)
    assume(truly.any() and not truly.all())
    threshold = min(s for s in repeated[~truly] if np.mean(repeated[~truly] <= s) >= specificity)
    found = metrics.sensitivity_at_specificity(score, positive, weight, specificity)
    assert found == pytest.approx(np.mean(repeated[truly] > threshold))


@pytest.mark.parametrize(
    ("reading", "right"),
    [(0, {0, 1}), (5, {1}), (20, {1, 2}), (25, {2}), (40, {2, 3}), (58, {3, 4}), (80, {4, 5}), (100, {5})],
)
def test_a_reading_on_a_border_counts_as_either_side(reading, right):
    hits = metrics.border_aware_hits([reading] * 6, range(6))
    assert set(np.flatnonzero(hits)) == right


@given(st.floats(0, 100), st.integers(0, 5))
def test_the_grade_of_the_reading_is_always_right(reading, grade):
    exact = metrics.ratingen.grade(reading) == grade
    assert metrics.border_aware_hits([reading], [grade])[0] or not exact


def test_pit_is_spread_over_the_step_at_the_reading():
    """F jumps from .2 to .6 at 10 %: at a reading of 10 the transform is even between them."""
    cdf = np.where(np.arange(101) < 10, 0.2, np.where(np.arange(101) < 50, 0.6, 1.0))[np.newaxis]
    found = metrics.pit(cdf, [10])[0]
    np.testing.assert_allclose(found[[0, 4, 8, 12, 20]], [0, 0, 0.5, 1, 1], atol=1e-12)
    # Where F does not rise at the reading, the transform is one value.
    np.testing.assert_allclose(metrics.pit(cdf, [30])[0], np.arange(21) / 20 >= 0.6)


def test_calibrated_distributions_have_an_even_pit():
    rng = np.random.default_rng(2)
    cdf = np.cumsum(rng.dirichlet(np.ones(101), 20_000), axis=1).clip(0, 1)
    cdf[:, -1] = 1
    reading = np.argmax(cdf >= rng.random((20_000, 1)), axis=1)
    even = metrics.pit_calibration_error(metrics.pit(cdf, reading).mean(axis=0))
    assert even < 0.01
    assert metrics.pit_calibration_error(metrics.pit(cdf, np.minimum(reading + 20, 100)).mean(axis=0)) > 10 * even
    probability = np.diff(cdf[:, [0, 20, 40, 60, 80]], axis=1, prepend=0, append=1)
    gaps = metrics.confidence_gaps(probability, metrics.ratingen.grade(reading)).sum(axis=0)
    assert metrics.expected_calibration_error(gaps) < 0.02


def test_expected_calibration_error_by_hand():
    """Ten joints called with .9, six rightly; ten with .5, five rightly: |.9 - .6| / 2."""
    probability = np.zeros((20, 6))
    probability[:10, :2] = [0.9, 0.1]
    probability[10:, 4:] = [0.5, 0.5]
    grade = [0] * 6 + [1] * 4 + [4] * 5 + [5] * 5
    found = metrics.expected_calibration_error(metrics.confidence_gaps(probability, grade).sum(axis=0))
    assert found == pytest.approx(0.15)


def test_erosion_unweighted_recall_is_the_mean_of_sensitivity_and_specificity():
    found = metrics.of_confusions(ALWAYS_0)
    assert found["erosion_unweighted_recall"] == 0.5
    confusion = metrics.confusion_matrix([0, 0, 0, 0, 1, 5], [0, 0, 0, 1, 2, 0])
    assert metrics.of_confusions(confusion)["erosion_unweighted_recall"] == pytest.approx((0.75 + 0.5) / 2)


@settings(max_examples=30)
@given(st.lists(confusions, min_size=1, max_size=4))
def test_many_matrices_at_once_are_each_alone(several):
    together = metrics.of_confusions(np.stack(several))
    for i, confusion in enumerate(several):
        alone = metrics.of_confusions(confusion)
        for name, values in together.items():
            assert values[i] == pytest.approx(float(alone[name]), nan_ok=True), name


def test_the_smallest_detectable_change_of_human_readers():
    """2.8 times a reader's SD; two readers whose radiographs differ with sqrt(2) times that SD have the same."""
    sd = HUMAN_SDC / 2.8
    alone = metrics.smallest_detectable_change(np.array(30 * sd**2), np.array(30), both_err=False)
    both = metrics.smallest_detectable_change(np.array(30 * 2 * sd**2), np.array(30), both_err=True)
    assert alone == pytest.approx(HUMAN_SDC, rel=0.011)
    assert both == pytest.approx(alone)
    assert math.isnan(metrics.smallest_detectable_change(np.array(0.0), np.array(0), both_err=True))
