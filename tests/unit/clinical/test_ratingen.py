import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.clinical.ratingen import grade

percents = st.floats(0, 100) | st.just(math.nan)


@pytest.mark.parametrize(
    ("erosion_percent", "expected"),
    [
        (0, 0),
        (-0.0, 0),
        (1e-9, 1),
        (20, 1),
        (math.nextafter(20, 21), 2),
        (40, 2),
        (40.5, 3),
        (60, 3),
        (61, 4),
        (80, 4),
        (math.nextafter(80, 81), 5),
        (100, 5),
    ],
)
def test_grade_assigns_a_border_to_the_lower_grade(erosion_percent, expected):
    assert grade(erosion_percent) == expected
    assert isinstance(grade(erosion_percent), int)


def test_grade_of_a_missing_value_is_missing():
    assert math.isnan(grade(math.nan))
    np.testing.assert_array_equal(grade([5, math.nan]), [1, math.nan])


@given(arrays(np.float64, st.tuples(st.integers(0, 3), st.integers(0, 4)), elements=percents))
def test_grade_of_an_array_equals_that_of_scalars_and_keeps_its_shape(erosion_percent):
    graded = grade(erosion_percent)
    assert graded.shape == erosion_percent.shape
    assert graded.dtype == np.float64
    np.testing.assert_array_equal(graded.ravel(), [grade(float(percent)) for percent in erosion_percent.ravel()])


@given(st.floats(0, 100), st.floats(0, 100))
def test_grade_is_not_lower_for_more_erosion(a, b):
    assert (grade(a) <= grade(b)) or a > b


@pytest.mark.parametrize(
    ("erosion_percent", "where"),
    [
        (-5, "the value"),
        (math.inf, "the value"),
        ([0, 120, -5], "the value at index 1"),
        ([[0, 1], [math.nan, 100.1]], r"the value at index \(1, 1\)"),
    ],
)
def test_grade_rejects_values_outside_0_to_100_with_the_index_but_without_the_value(erosion_percent, where):
    with pytest.raises(ValueError, match=rf"^erosion_percent must be between 0 and 100: {where} is not\.$"):
        grade(erosion_percent)
