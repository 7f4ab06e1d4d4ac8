"""The text format of COPY, without a server."""

from datetime import date

import numpy as np
import pandas as pd

from scoring.warehouse.bulk import UpsertCounts, copy_rows


def test_copy_rows_writes_one_line_per_row_for_any_text():
    frame = pd.DataFrame({"a": ["x\ty", "x\ny", "x\\y", "\\N", "", None]})
    assert "".join(copy_rows(frame)).split("\n") == ["x\\ty", "x\\ny", "x\\\\y", "\\\\N", "", "\\N", ""]


def test_copy_rows_writes_values_in_the_format_of_postgresql():
    frame = pd.DataFrame(
        {
            "whole": [2.0],
            "real": [0.1],
            "yes": [True],
            "day": [date(2026, 11, 21)],
            "shares": [np.array([0.5, 0.25], dtype=np.float32)],
        }
    )
    assert list(copy_rows(frame)) == ["2\t0.1\tt\t2026-11-21\t{0.5,0.25}\n"]


def test_copy_rows_of_an_empty_frame_yields_nothing():
    assert list(copy_rows(pd.DataFrame({"a": []}))) == []


def test_upsert_counts_add_up():
    assert UpsertCounts(1, 2, 3, 4) + UpsertCounts(new=1) == UpsertCounts(2, 2, 3, 4)
