"""What a person asks of a running installation: which nights ran, which wait, whether anything changed."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from scoring.pipeline import installation, page
from scoring.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from scoring.warehouse.models import PromotedModel


@dataclass(frozen=True)
class Overview:
    """The last nights as rows of a table, and lines of label and value below it."""

    nights: list[dict[str, Any]]
    lines: list[tuple[str, str]]


def overview(settings: Settings, limit: int) -> Overview:
    """The last runs with their books, the champion, the newest page, and how to look further."""
    from upath import UPath

    from scoring.warehouse import migrate, nights

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    rows = [
        {str(name): value for name, value in row.items()}
        for row in nights.recent_runs(engine, limit).to_dict("records")
    ]
    why = [(f"{row['night']}", row.pop("message")) for row in rows]
    # Of a night that was run again, only what its last run says still matters.
    lines = [(night, message) for night, message in dict(why).items() if message]
    lines += _models(engine)
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


def _models(engine: "Engine") -> list[tuple[str, str]]:
    """The champion; the promoted model if that is another one; and how much of the history waits for it."""
    from scoring.warehouse import models, rescoring
    from scoring.warehouse.engine import transaction

    with transaction(engine) as connection:
        champion, promoted = models.champion(connection), models.promoted(connection)
        if champion is None or promoted is None:
            return [("champion", "none yet; the first run promotes the shipped model")]
        n_waiting = rescoring.n_waiting(connection, promoted["version"])
        n_refused = rescoring.n_waiting_refused(connection, promoted["version"])
    lines = [("champion", _describe(champion))]
    if promoted["version"] != champion["version"]:
        lines.append(("promoted", _describe(promoted)))
    if n_waiting or len(lines) > 1:
        refused = f", of {n_refused} the files are gone or changed" if n_refused else ""
        lines.append(("waiting", f"{n_waiting} images for {promoted['version']}{refused}: `scoring rescore`"))
    return lines


def _describe(model: "PromotedModel") -> str:
    synthetic = " (trained on synthetic phantoms, not for clinical use)" if model["trained_on_synthetic"] else ""
    return f"{model['version']}{synthetic}, promoted {model['promoted_at']:%Y-%m-%d}: {model['reason']}"
