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
def test_a_border_belongs_to_the_lower_grade(erosion_percent, expected):
    assert grade(erosion_percent) == expected
    assert isinstance(grade(erosion_percent), int)


def test_missing_stays_missing():
    assert math.isnan(grade(math.nan))
    np.testing.assert_array_equal(grade([5, math.nan]), [1, math.nan])


@given(arrays(np.float64, st.tuples(st.integers(0, 3), st.integers(0, 4)), elements=percents))
def test_array_agrees_with_scalars_and_keeps_shape_and_type(erosion_percent):
    graded = grade(erosion_percent)
    assert graded.shape == erosion_percent.shape
    assert graded.dtype == np.float64
    np.testing.assert_array_equal(graded.ravel(), [grade(float(percent)) for percent in erosion_percent.ravel()])


@given(st.floats(0, 100), st.floats(0, 100))
def test_more_erosion_is_never_a_lower_grade(a, b):
    assert (grade(a) <= grade(b)) or a > b


@pytest.mark.parametrize(
    ("erosion_percent", "where"),
    [
        (-5, "the value given"),
        (math.inf, "the value given"),
        ([0, 120, -5], "the value at index 1"),
        ([[0, 1], [math.nan, 100.1]], r"the value at index \(1, 1\)"),
    ],
)
def test_outside_the_range_is_refused_with_range_and_index_and_without_the_value(erosion_percent, where):
    with pytest.raises(ValueError, match=f"^erosion_percent must be within 0 to 100: {where} is not$"):
        grade(erosion_percent)
