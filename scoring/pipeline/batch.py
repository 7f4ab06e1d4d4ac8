"""Which night a run is about. Pure: the caller hands in what it knows of the run."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from scoring.errors import InvalidRequest


def parse_batch_date(text: str) -> date:
    """Read a batch date as typed by a person.

    Raises:
        InvalidRequest: If the text is not a date of the form YYYY-MM-DD.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest(f"batch date {text!r} is not a date of the form YYYY-MM-DD") from error


def batch_date_of_run(*, requested: str | None, run_type: str, interval_start: datetime | None, timezone: str) -> date:
    """The folder date that an Airflow run is about.

    A scheduled run and a backfill take it from the start of their data interval, in the installation's time zone: the
    run of the 22nd at 02:00 covers the 21st. A manual run has to say it, because the same date typed into Airflow's
    *Trigger* and *Backfill* dialogs gives two different intervals.

    Args:
        requested: The `batch_date` parameter, None when it was left empty.
        run_type: Airflow's type of the run: `scheduled`, `backfill`, `manual`, ...
        interval_start: Start of the run's data interval, None when it has none.
        timezone: IANA name of the time zone in which nights are counted.

    Returns:
        The batch date.

    Raises:
        InvalidRequest: If nothing names the night, or `batch_date` is no date.
    """
    if requested:
        return parse_batch_date(requested)
    if run_type in {"scheduled", "backfill"} and interval_start is not None:
        return interval_start.astimezone(ZoneInfo(timezone)).date()
    raise InvalidRequest(
        f"nothing names the night of this {run_type} run: trigger it with the parameter batch_date (YYYY-MM-DD), "
        "or ask for a backfill"
    )
