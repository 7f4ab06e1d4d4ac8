import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.analysis.frames import DAYS_PER_YEAR
from scoring.analysis.pairing import Series, nearest, summed

# Two patients with visits on few days, so that ties, ends of windows and equal days are frequent.
visits = st.lists(st.tuples(st.integers(0, 1), st.integers(-40, 40)), max_size=12, unique=True).map(sorted)
days = st.lists(st.tuples(st.integers(0, 1), st.integers(-60, 60)), min_size=1, max_size=6)


def series(rows):
    patient, day = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return Series(patient, day, 2.0 + np.arange(len(rows)) % 3)


@given(rows=visits, radiographs=days, window=st.sampled_from([(-9, 9), (0, 0), (-20, -1), (-20, -8), (1, 20), (8, 20)]))
def test_nearest_agrees_with_a_search_through_all_visits(rows, radiographs, window):
    known = series(rows)
    patient, day = np.array(radiographs, dtype=np.int64).T
    found = nearest(known, patient, day, *window)
    for index, (who, when) in zip(found, radiographs, strict=True):
        inside = [
            (abs(d - when), d, i) for i, (p, d) in enumerate(rows) if p == who and window[0] <= d - when <= window[1]
        ]
        assert index == (min(inside)[2] if inside else -1)


@given(rows=visits, radiographs=days, length=st.integers(0, 50))
def test_summed_is_the_area_under_the_line(rows, radiographs, length):
    known = series(rows)
    patient, start = np.array(radiographs, dtype=np.int64).T
    found = summed(known, patient, start.astype(float), start + float(length))
    for area, (who, when) in zip(found, radiographs, strict=True):
        own = [i for i, (p, _) in enumerate(rows) if p == who]
        days = known.day[own]
        if len(rows) < 2 or not own or when < days[0] or when + length > days[-1]:
            assert np.isnan(area)
        else:
            grid = np.arange(when, when + length + 1)
            line = np.interp(grid, days, known.value[own])
            assert area == pytest.approx(np.trapezoid(line, grid) / DAYS_PER_YEAR, abs=1e-9)


def test_summed_is_nan_across_a_long_gap():
    known = Series(np.zeros(4, dtype=np.int64), np.array([0, 100, 500, 600]), np.array([4.0, 4.0, 4.0, 4.0]))
    start, end = np.array([0.0, 0.0, 500.0, 90.0, 490.0]), np.array([100.0, 101.0, 600.0, 510.0, 600.0])
    found = summed(known, np.zeros(5, dtype=np.int64), start, end)
    assert np.isnan(found).tolist() == [False, True, False, True, True]
    assert found[0] == pytest.approx(400 / DAYS_PER_YEAR)
