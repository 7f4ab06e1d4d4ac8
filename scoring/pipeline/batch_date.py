"""Which batch a run processes. Pure functions: the caller passes what it knows of the run."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from scoring.errors import InvalidRequest


def parse_batch_date(text: str) -> date:
    """Parse a batch date typed by a person.

    Raises:
        InvalidRequest: The text is not a date in the form YYYY-MM-DD.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest(f"Batch date {text!r} is not a date in the form YYYY-MM-DD.") from error


def batch_date_of_run(*, requested: str | None, run_type: str, interval_start: datetime | None, timezone: str) -> date:
    """Return the date of the batch that an Airflow run processes.

    A scheduled run and a backfill take it from the start of their data interval, in the time zone of the installation:
    the run of the 22nd at 02:00 covers the 21st. A manual run must state it, because the same date typed into Airflow's
    *Trigger* and *Backfill* dialogs gives two different intervals.

    Args:
        requested: The parameter `batch_date`; None if it was left empty.
        run_type: Airflow's type of the run: `scheduled`, `backfill`, `manual`, ...
        interval_start: Start of the run's data interval; None if it has none.
        timezone: IANA name of the time zone that defines a day.

    Raises:
        InvalidRequest: No batch date is given, or `requested` is not a date.
    """
    if requested:
        return parse_batch_date(requested)
    if run_type in {"scheduled", "backfill"} and interval_start is not None:
        return interval_start.astimezone(ZoneInfo(timezone)).date()
    raise InvalidRequest(
        f"This {run_type} run has no batch date. Trigger it with the parameter batch_date (YYYY-MM-DD), or start a "
        "backfill."
    )
