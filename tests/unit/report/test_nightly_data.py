from datetime import UTC, date, datetime

import pandas as pd
import pytest

from scoring.report.nightly_data import COLUMNS, NightlyReport, empty_frame


def report(**frames: pd.DataFrame) -> NightlyReport:
    return NightlyReport(
        date(2026, 11, 21), "run", "succeeded", None, "abc", datetime(2026, 11, 22, tzinfo=UTC), **frames
    )


def test_nightly_report_rejects_a_frame_without_a_column() -> None:
    with pytest.raises(ValueError, match=r"NightlyReport\.row_counts lacks the columns reconciled\."):
        report(row_counts=empty_frame("row_counts").drop(columns="reconciled"))


def test_nightly_report_has_empty_frames_that_are_not_shared_by_default() -> None:
    first, second = report(), report()
    for name, columns in COLUMNS.items():
        assert list(getattr(first, name).columns) == list(columns)
        assert getattr(first, name) is not getattr(second, name)
