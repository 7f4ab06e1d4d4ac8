import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.clinical.das28 import activity, das28_crp, das28_esr, eular_response

counts = st.integers(0, 28)
scores = st.integers(0, 1000).map(lambda hundredths: hundredths / 100)


# By hand: tender 4 and swollen 9 give 0.56 * 2 + 0.28 * 3 = 1.96; ln of esr = e^3 is 3, of crp + 1 = e^2 is 2.
@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (das28_esr(4, 9, math.exp(3), 50), 1.96 + 2.1 + 0.7),
        (das28_esr(4, 9, math.exp(3)), (1.96 + 2.1) * 1.08 + 0.16),
        (das28_crp(4, 9, math.exp(2) - 1, 50), 1.96 + 0.72 + 0.7 + 0.96),
        (das28_crp(4, 9, math.exp(2) - 1), (1.96 + 0.72) * 1.10 + 1.15),
        (das28_esr(0, 0, 1, 0), 0),
        (das28_esr(0, 0, 1), 0.16),
        (das28_crp(0, 0, 0, 0), 0.96),
        (das28_crp(0, 0, 0), 1.15),
    ],
)
def test_das28_equals_the_formula_computed_by_hand(score, expected):
    assert score == pytest.approx(expected, abs=1e-12)
    assert isinstance(score, float)


@pytest.mark.parametrize("esr", [0, 0.3, 1])
def test_das28_esr_counts_an_esr_below_1_as_1(esr):
    assert das28_esr(3, 2, esr) == das28_esr(3, 2, 1)


@pytest.mark.parametrize("form", [das28_esr, das28_crp])
def test_das28_of_a_missing_value_is_missing(form):
    for missing in range(4):
        arguments = [2.0, 3.0, 4.0, 5.0]
        arguments[missing] = math.nan
        assert math.isnan(form(*arguments))
    np.testing.assert_array_equal(np.isnan(form([1, math.nan], [1, 1], [5, 5])), [False, True])


@pytest.mark.parametrize("form", [das28_esr, das28_crp])
def test_das28_with_a_missing_assessment_does_not_become_the_three_variable_form(form):
    assert np.isnan(form([2, 2], [3, 3], [4, 4], [50, math.nan])).tolist() == [False, True]


@given(counts, counts, st.floats(0, 300), st.floats(0, 100))
def test_das28_of_arrays_equals_that_of_scalars_and_is_between_0_and_10(tender, swollen, marker, patient_global):
    for form in (das28_esr, das28_crp):
        for arguments in ((tender, swollen, marker), (tender, swollen, marker, patient_global)):
            score = form(*arguments)
            assert 0 <= score <= 10
            np.testing.assert_array_equal(form(*(np.array([argument] * 2) for argument in arguments)), [score] * 2)


@given(counts, counts, st.floats(1, 299), st.floats(0, 99), st.integers(0, 3))
def test_das28_increases_with_each_component(tender, swollen, marker, patient_global, worsened):
    arguments = [min(tender, 27), min(swollen, 27), marker, patient_global]
    worse = list(arguments)
    worse[worsened] += 1
    assert das28_esr(*worse) > das28_esr(*arguments)
    assert das28_crp(*worse) > das28_crp(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 29], [0, 0], [5, 5]), "tender must be between 0 and 28: the value at index 1"),
        ((0, -1, 5), "swollen must be between 0 and 28: the value is not"),
        (([0], [0], [5], [101]), "patient_global must be between 0 and 100: the value at index 0"),
    ],
)
@pytest.mark.parametrize("form", [das28_esr, das28_crp])
def test_das28_rejects_values_outside_their_range(form, arguments, message):
    with pytest.raises(ValueError, match=message):
        form(*arguments)


def test_das28_rejects_a_marker_outside_its_range():
    with pytest.raises(ValueError, match="esr must be between 0 and 300"):
        das28_esr(0, 0, 301)
    with pytest.raises(ValueError, match="crp must be between 0 and 1000"):
        das28_crp(0, 0, -0.1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "remission"),
        (2.59, "remission"),
        (2.6, "low"),
        (3.2, "low"),
        (3.21, "moderate"),
        (5.1, "moderate"),
        (5.11, "high"),
        (np.float32(3.2), "low"),
        (np.float32(2.6), "low"),
        (math.nan, None),
    ],
)
def test_activity_returns_the_class(value, expected):
    assert activity(value) == expected
    assert activity([value]).tolist() == [expected]


@pytest.mark.parametrize("value", [-0.1, 10.1])
def test_activity_rejects_values_outside_0_to_10(value):
    with pytest.raises(ValueError, match="DAS28 must be between 0 and 10: the value at index 1"):
        activity([2, value])


@pytest.mark.parametrize(
    ("baseline", "follow_up", "expected"),
    [
        (4.41, 3.2, "good"),
        (4.4, 3.2, "moderate"),  # a decrease of 1.2 is not more than 1.2
        (5.0, 3.8, "moderate"),  # 5.0 - 3.8 > 1.2 in binary
        (7.0, 5.2, "moderate"),
        (5.8, 5.1, "moderate"),
        (5.9, 5.2, "none"),
        (3.0, 2.3, "moderate"),
        (3.0, 2.4, "none"),
        (2.0, 3.0, "none"),
        (math.nan, 2.0, None),
        (2.0, math.nan, None),
    ],
)
def test_eular_response_returns_the_class(baseline, follow_up, expected):
    assert eular_response(baseline, follow_up) == expected
    assert eular_response([baseline], [follow_up]).tolist() == [expected]


@given(scores, scores, scores)
def test_eular_response_is_not_worse_for_a_lower_follow_up(baseline, a, b):
    rank = {"none": 0, "moderate": 1, "good": 2}
    lower, higher = sorted((a, b))
    assert rank[eular_response(baseline, lower)] >= rank[eular_response(baseline, higher)]
