"""The nightly run: one folder of joint images and registry records becomes predictions and refreshed correlations.

    open_run ── land ── validate ── publish_registry ── plan ══ score (mapped over shards, pool `gpu`)
                                                                   ║
              close_run ── write_report ── analyse ── publish_predictions

Why the schedule is what it is: `CronDataIntervalTimetable`, because a bare cron string gives Airflow 3 an empty data
interval; the run of 02:00 covers the day before, and that day is the folder's name. Every task is one call into
`scoring.pipeline.nightly`, so the same steps run from a shell by `scoring nightly --date`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, Param, chain, dag, get_current_context, task
from scoring_airflow import SCORING_POOL, TASK_DEFAULTS, installation, started_by, unfinished

from scoring.pipeline import nightly
from scoring.pipeline.batch_date import batch_date_of_run
from scoring.pipeline.run import Run, Shard, require_run
from scoring.settings import get_settings

TIMEZONE = get_settings().timezone


@dag(
    dag_id="nightly_scoring",
    dag_display_name="Nightly scoring of joint erosion",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone=TIMEZONE),
    start_date=pendulum.datetime(2026, 1, 1, tz=TIMEZONE),
    # Missed nights are asked for as a backfill by a person; unpausing must not start a year of runs.
    catchup=False,
    # Two nights may not publish at once; the warehouse's lock says so too, because a backfill ignores this limit.
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "batch_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Batch date",
            description="Folder to process by hand; scheduled runs and backfills take it from their interval.",
        )
    },
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["scoring", "nightly", "impact/tier_1"],
)
def nightly_scoring() -> None:
    """Wire the steps; see the module's drawing."""

    @task
    def open_run() -> dict[str, Any]:
        context = get_current_context()
        dag_run = context["dag_run"]
        batch_date = batch_date_of_run(
            requested=context["params"]["batch_date"],
            run_type=dag_run.run_type.value,
            interval_start=dag_run.data_interval_start,
            timezone=TIMEZONE,
        )
        run = nightly.open_run(installation(), batch_date, trigger=dag_run.run_id, triggered_by=started_by(dag_run))
        return run.to_dict()

    # 16 attempts a quarter of an hour apart: the extractor has until the morning round.
    @task(retries=16)
    def land(run: dict[str, Any]) -> dict[str, int]:
        return nightly.land(installation(), Run.from_dict(run))

    @task
    def validate(run: dict[str, Any]) -> dict[str, int]:
        return nightly.validate(installation(), Run.from_dict(run))

    @task
    def publish_registry(run: dict[str, Any]) -> dict[str, int]:
        return nightly.publish_registry(installation(), Run.from_dict(run))

    @task
    def plan(run: dict[str, Any]) -> list[dict[str, int]]:
        return [asdict(shard) for shard in nightly.plan(installation(), Run.from_dict(run))]

    # In front of every training and rescoring that waits for the pool.
    @task(pool=SCORING_POOL, priority_weight=100, weight_rule="absolute", map_index_template="{{ shard_name }}")
    def score(run: dict[str, Any], shard: dict[str, int]) -> int:
        get_current_context()["shard_name"] = f"joints {shard['first']}-{shard['first'] + shard['count'] - 1}"  # type: ignore[typeddict-unknown-key]
        return nightly.score(installation(), Run.from_dict(run), Shard(**shard))

    # A night with nothing new maps `score` over nothing: it is skipped, and publishing goes on.
    @task(trigger_rule="none_failed")
    def publish_predictions(run: dict[str, Any]) -> dict[str, int]:
        return nightly.publish_predictions(installation(), Run.from_dict(run))

    @task
    def analyse(run: dict[str, Any]) -> int:
        return nightly.analyse(installation(), Run.from_dict(run))

    # A failed night gets its page too: that is the morning on which somebody reads it.
    @task(trigger_rule="all_done")
    def write_report(run: dict[str, Any] | None, steps: dict[str, Any]) -> str:
        return nightly.write_report(installation(), require_run(run), unfinished=unfinished(steps))

    # The gate. `all_done` alone would turn a failed night green, so it looks at what every step left behind.
    @task(trigger_rule="all_done")
    def close_run(run: dict[str, Any] | None, steps: dict[str, Any]) -> dict[str, int]:
        return nightly.close_run(installation(), require_run(run), unfinished=unfinished(steps))

    run = open_run()
    landed = land(run)
    validated = validate(run)
    registered = publish_registry(run)
    shards = plan(run)
    scored = score.partial(run=run).expand(shard=shards)
    predicted = publish_predictions(run)
    analysed = analyse(run)
    steps = {
        "land": landed,
        "validate": validated,
        "publish_registry": registered,
        "plan": shards,
        "publish_predictions": predicted,
        "analyse": analysed,
    }
    page = write_report(run, steps)
    closed = close_run(run, {**steps, "write_report": page})
    chain(run, landed, validated, registered, shards, scored, predicted, analysed, page, closed)


nightly_scoring()
