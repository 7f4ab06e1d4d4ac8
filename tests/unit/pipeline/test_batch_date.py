from datetime import UTC, date, datetime

import pytest

from scoring.errors import InvalidRequest
from scoring.pipeline.batch_date import batch_date_of_run

ZURICH = "Europe/Zurich"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (datetime(2026, 7, 1, 0, 0, tzinfo=UTC), date(2026, 7, 1)),
        # Late in the evening in UTC, it is the next day in Zurich.
        (datetime(2026, 11, 20, 23, 30, tzinfo=UTC), date(2026, 11, 21)),
    ],
)
@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_batch_date_of_run_is_the_local_date_of_the_interval_start(start, expected, run_type):
    found = batch_date_of_run(requested=None, run_type=run_type, interval_start=start, timezone=ZURICH)
    assert found == expected


def test_batch_date_of_run_prefers_the_requested_date():
    start = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
    found = batch_date_of_run(requested="2026-11-01", run_type="scheduled", interval_start=start, timezone=ZURICH)
    assert found == date(2026, 11, 1)


@pytest.mark.parametrize(
    ("run_type", "start"), [("manual", datetime(2026, 11, 20, 1, 0, tzinfo=UTC)), ("scheduled", None)]
)
def test_batch_date_of_run_rejects_a_run_without_a_date(run_type, start):
    with pytest.raises(InvalidRequest, match=rf"This {run_type} run has no batch date\..*batch_date"):
        batch_date_of_run(requested=None, run_type=run_type, interval_start=start, timezone=ZURICH)


@pytest.mark.parametrize("text", ["21.11.2026", "2026-13-01", "yesterday"])
def test_batch_date_of_run_rejects_an_unreadable_date_and_states_the_format(text):
    with pytest.raises(InvalidRequest, match="YYYY-MM-DD"):
        batch_date_of_run(requested=text, run_type="manual", interval_start=None, timezone=ZURICH)
