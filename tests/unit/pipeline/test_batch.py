from datetime import UTC, date, datetime

import pytest

from scoring.errors import InvalidRequest
from scoring.pipeline.batch_date import batch_date_of_run

ZURICH = "Europe/Zurich"


def test_scheduled_run_takes_the_local_date_of_its_interval_start():
    # 02:00 in Zurich in summer is 00:00 UTC; the UTC date would still be right, the evening before would not.
    start = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
    assert batch_date_of_run(requested=None, run_type="scheduled", interval_start=start, timezone=ZURICH) == date(
        2026, 7, 1
    )


def test_interval_start_late_in_the_utc_evening_is_the_next_day_in_zurich():
    start = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert batch_date_of_run(requested=None, run_type="backfill", interval_start=start, timezone=ZURICH) == date(
        2026, 11, 21
    )


def test_requested_date_wins():
    start = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
    assert batch_date_of_run(
        requested="2026-11-01", run_type="scheduled", interval_start=start, timezone=ZURICH
    ) == date(2026, 11, 1)


def test_manual_run_without_a_date_is_refused_even_with_an_interval():
    start = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
    with pytest.raises(InvalidRequest, match="batch_date"):
        batch_date_of_run(requested=None, run_type="manual", interval_start=start, timezone=ZURICH)


def test_run_without_interval_is_refused():
    with pytest.raises(InvalidRequest, match="nothing names the night"):
        batch_date_of_run(requested=None, run_type="scheduled", interval_start=None, timezone=ZURICH)


@pytest.mark.parametrize("text", ["21.11.2026", "2026-13-01", "yesterday"])
def test_unreadable_date_is_refused_with_the_form_it_should_have(text):
    with pytest.raises(InvalidRequest, match="YYYY-MM-DD"):
        batch_date_of_run(requested=text, run_type="manual", interval_start=None, timezone=ZURICH)
