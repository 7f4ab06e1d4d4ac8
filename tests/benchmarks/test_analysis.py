"""Growth of the time of the analyses: the time for four times as many rows, relative to the time for one."""

from datetime import date, timedelta
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from scoring.analysis.correlation import ACTIVITIES, DAMAGES, correlate
from scoring.analysis.rau import rau_predictions
from scoring.clinical.joints import COLUMNS

# Sorting four times as many visits takes slightly more than four times as long.
MAX_RATIO = 6


def seconds(call, frame):
    started = perf_counter()
    call(frame)
    return perf_counter() - started


def visits(n):
    draw = np.random.default_rng(0)
    days = [date(2020, 1, 1) + timedelta(days=visit // (n // 5)) for visit in range(n)]
    frame = pd.DataFrame({"patient_id": np.arange(n) % (n // 5), "visit_date": days})
    return frame.assign(**{name: draw.normal(size=n) for name in (*DAMAGES, *ACTIVITIES)})


def joints_of_radiographs(n):
    probability = np.random.default_rng(0).dirichlet(np.ones(6), 10 * n)
    return pd.DataFrame(
        {
            "sop_iuid": np.repeat([f"1.2.{radiograph}" for radiograph in range(n)], 10),
            "patient_id": np.repeat([f"{radiograph // 2:06d}" for radiograph in range(n)], 10),
            "visit_date": date(2020, 1, 1),
            "joint": np.tile(COLUMNS[:10], n),
            "predicted_grade": probability.argmax(axis=1),
            "grade_probability": list(probability),
        }
    )


@pytest.mark.parametrize(("call", "make_frame"), [(correlate, visits), (rau_predictions, joints_of_radiographs)])
def test_analyses_take_about_four_times_as_long_for_four_times_as_many_rows(benchmark, call, make_frame):
    once, four = make_frame(5_000), make_frame(20_000)

    def ratio():
        return seconds(call, four) / seconds(call, once)

    ratio()
    grown = benchmark.pedantic(ratio, rounds=3)
    benchmark.extra_info["4 n / n"] = round(grown, 2)
    assert grown < MAX_RATIO
