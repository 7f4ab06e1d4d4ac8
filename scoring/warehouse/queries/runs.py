"""What ran and when: reads about runs for the status, the page and the list of nights that wait."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import transaction


@dataclass(frozen=True)
class RunFacts:
    """A run, the model it scores with, and the engine that did."""

    run_id: str
    batch_date: date
    started_at: datetime
    finished_at: datetime | None
    code_revision: str
    model_version: str
    weights_sha256: str
    trained_on_synthetic: bool
    preprocessing_version: str
    engine: str


def run_facts(connection: Connection, run_id: UUID | str) -> RunFacts:
    """One run. Its engine is the one of its predictions, several if shards differed, empty if it made none."""
    row = (
        connection.execute(
            sa.text(
                "SELECT CAST(run.run_id AS text) AS run_id, run.batch_date, run.started_at,"
                " (SELECT max(r.finished_at) FROM scoring.run_result AS r WHERE r.run_id = run.run_id)"
                " AS finished_at, run.code_revision, m.version AS model_version, m.weights_sha256,"
                " m.trained_on_synthetic, m.preprocessing_version,"
                " coalesce((SELECT string_agg(DISTINCT p.engine, ', ') FROM scoring.joint_prediction AS p"
                " WHERE p.run_id = run.run_id), '') AS engine FROM scoring.run"
                " INNER JOIN scoring.model_version AS m ON m.version = run.model_version"
                " WHERE run.run_id = CAST(:run_id AS uuid)"
            ),
            {"run_id": str(run_id)},
        )
        .mappings()
        .one()
    )
    return RunFacts(**row)


def last_closed_run(engine: Engine, batch_date: date) -> tuple[str, str] | None:
    """The newest nightly run of a night that has ended, and why it failed (empty if it succeeded)."""
    with transaction(engine) as connection:
        found = connection.execute(
            sa.text(
                "SELECT CAST(run_id AS text) AS run_id, message FROM analyst.run_reconciliation WHERE batch_date = :batch_date"
                " AND job = 'nightly_scoring' AND status IS NOT NULL ORDER BY started_at DESC LIMIT 1"
            ),
            {"batch_date": batch_date},
        ).one_or_none()
    return None if found is None else (found.run_id, found.message)


def succeeded_batches(engine: Engine) -> set[date]:
    """Nights that a run has finished with balanced books."""
    with transaction(engine) as connection:
        return set(
            connection.scalars(
                sa.text(
                    "SELECT batch_date FROM analyst.run_reconciliation WHERE job = 'nightly_scoring' AND status = 'succeeded'"
                )
            )
        )


def recent_runs(engine: Engine, limit: int) -> pd.DataFrame:
    """The last nightly runs, oldest first: one row a run, what landed and what became of it."""
    with transaction(engine) as connection:
        return pd.read_sql_query(
            sa.text(
                "SELECT batch_date AS batch, to_char(started_at, 'YYYY-MM-DD HH24:MI') AS started,"
                " coalesce(min(status), 'not closed') AS status,"
                " CAST(sum(landed) FILTER (WHERE dataset = 'images') AS int) AS images,"
                " CAST(sum(scored) FILTER (WHERE dataset = 'images') AS int) AS scored,"
                " CAST(sum(already_scored) FILTER (WHERE dataset = 'images') AS int) AS already,"
                " CAST(sum(landed) FILTER (WHERE dataset <> 'images') AS int) AS records,"
                " CAST(sum(new + updated) FILTER (WHERE dataset <> 'images') AS int) AS changed,"
                " CAST(sum(quarantined) AS int) AS quarantined,"
                " CASE bool_and(balanced) WHEN TRUE THEN 'yes' WHEN FALSE THEN 'no' ELSE '' END AS balanced,"
                " coalesce(min(message), '') AS message"
                " FROM analyst.run_reconciliation WHERE job = 'nightly_scoring'"
                " GROUP BY run_id, batch_date, started_at ORDER BY started_at DESC LIMIT :limit"
            ),
            connection,
            params={"limit": limit},
            dtype=dict.fromkeys(("images", "scored", "already", "records", "changed", "quarantined"), "Int64"),
        ).iloc[::-1]


def row_counts(engine: Engine, run_id: UUID | str) -> dict[str, tuple[int, int]]:
    """Return the numbers of received and of unaccounted rows of a run, by dataset."""
    with transaction(engine) as connection:
        found = connection.execute(
            sa.text(
                "SELECT dataset, received, unaccounted_for FROM analyst.run_reconciliation"
                " WHERE run_id = CAST(:run_id AS uuid) AND dataset IS NOT NULL"
            ),
            {"run_id": str(run_id)},
        )
        return {row.dataset: (row.received, row.unaccounted_for) for row in found}
