from datetime import UTC, date, datetime

import pandas as pd
import pytest

from scoring.report.nightly_data import COLUMNS, NightlyReport, empty_frame


def report(**frames: pd.DataFrame) -> NightlyReport:
    return NightlyReport(
        date(2026, 11, 21), "run", "succeeded", None, "abc", datetime(2026, 11, 22, tzinfo=UTC), **frames
    )


def test_a_frame_without_a_column_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"NightlyReport\.books lacks the columns balanced"):
        report(books=empty_frame("books").drop(columns="balanced"))


def test_frames_default_to_no_rows_and_are_not_shared() -> None:
    first, second = report(), report()
    for name, columns in COLUMNS.items():
        assert list(getattr(first, name).columns) == list(columns)
        assert getattr(first, name) is not getattr(second, name)
