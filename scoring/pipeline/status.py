"""What a person asks of a running installation: which nights ran, which wait, whether anything changed."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from scoring.pipeline import installation, page
from scoring.settings import Settings


@dataclass(frozen=True)
class Overview:
    """The last nights as rows of a table, and lines of label and value below it."""

    nights: list[dict[str, Any]]
    lines: list[tuple[str, str]]


def overview(settings: Settings, limit: int) -> Overview:
    """The last runs with their books, the champion, the newest page, and how to look further."""
    from upath import UPath

    from scoring.warehouse import migrate, models, nights

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    rows = [
        {str(name): value for name, value in row.items()}
        for row in nights.recent_runs(engine, limit).to_dict("records")
    ]
    champion = models.champion(engine)
    why = [(f"{row['night']}", row.pop("message")) for row in rows]
    # Of a night that was run again, only what its last run says still matters.
    lines = [(night, message) for night, message in dict(why).items() if message]
    lines += [("champion", _describe(champion) if champion else "none yet; the first run promotes the shipped model")]
    if rows:
        newest = page.location(settings, rows[-1]["night"])
        lines.append(("report", newest if UPath(newest).exists() else "not written yet"))
    lines.append(("psql", installation.psql_line(settings)))
    return Overview(rows, lines)


def pending(settings: Settings) -> list[date]:
    """Closed nights that no run has finished, oldest first; the newest closed night when all have been run."""
    from scoring.landing.layout import closed_nights
    from scoring.warehouse import migrate, nights

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    closed = closed_nights(settings.landing_url, settings.success_marker)
    done = nights.succeeded_nights(engine)
    return [night for night in closed if night not in done] or closed[-1:]


def digest(settings: Settings) -> list[dict[str, Any]]:
    """Rows and digest of every data table."""
    from scoring.warehouse import analytics

    found = analytics.digest(installation.warehouse(settings))
    return [{"table": table, "rows": rows, "digest": md5[:12]} for table, (rows, md5) in found.items()]


def report(settings: Settings, batch_date: date) -> str:
    """Write the page of a night's last closed run again. Returns where it lies.

    Raises:
        InvalidRequest: The night has no run.
    """
    from scoring.errors import InvalidRequest
    from scoring.warehouse import nights

    last = nights.last_closed_run(installation.warehouse(settings), batch_date)
    if last is None:
        raise InvalidRequest(f"the night of {batch_date} has not been run: `scoring nightly --date {batch_date}`")
    run_id, message = last
    return page.write(settings, run_id, [message] if message else [])


def _describe(champion: Any) -> str:
    synthetic = " (trained on synthetic phantoms, not for clinical use)" if champion["trained_on_synthetic"] else ""
    return f"{champion['version']}{synthetic}, promoted {champion['promoted_at']:%Y-%m-%d}: {champion['reason']}"
