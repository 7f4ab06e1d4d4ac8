"""The nightly DAG: score one batch of joint images and registry records, and refresh the analytics.

    open_run ── land ── validate ── publish_registry ── plan ══ score (mapped over shards, pool `gpu`)
                                                                   ║
              close_run ── write_report ── analyse ── publish_predictions

The schedule is a `CronDataIntervalTimetable`, because a bare cron string gives an empty data interval in Airflow 3. The
run at 02:00 covers the previous day, which is the batch date and the name of the landing folder. Every task is one call
into `scoring.pipeline.nightly`, so `scoring nightly --date` runs the same steps from a shell.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, Param, chain, dag, get_current_context, task
from scoring_airflow import SCORING_POOL, TASK_DEFAULTS, installation, started_by, unfinished

from scoring.pipeline import nightly
from scoring.pipeline.batch_date import batch_date_of_run
from scoring.pipeline.run import Run, require_run
from scoring.pipeline.shards import Shard
from scoring.settings import get_settings

TIMEZONE = get_settings().timezone


@task
def open_run() -> dict[str, Any]:
    """Register the run in the warehouse, with its batch date and the champion that scores it."""
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


# 16 retries, 15 minutes apart, give the extractor four hours.
@task(retries=16)
def land(run: dict[str, Any]) -> dict[str, int]:
    """Stage the files of the batch, and late files of earlier ones."""
    return nightly.land(installation(), Run.from_dict(run))


@task
def validate(run: dict[str, Any]) -> dict[str, int]:
    """Check every row and image; bad ones go to the quarantine."""
    return nightly.validate(installation(), Run.from_dict(run))


@task
def publish_registry(run: dict[str, Any]) -> dict[str, int]:
    """Write accepted consultations, readings and disease activity to the warehouse."""
    return nightly.publish_registry(installation(), Run.from_dict(run))


@task
def plan(run: dict[str, Any]) -> list[dict[str, int]]:
    """Divide the images without a prediction into shards."""
    return [asdict(shard) for shard in nightly.plan(installation(), Run.from_dict(run))]


# Runs before every training and rescoring that waits for the pool.
@task(pool=SCORING_POOL, priority_weight=100, weight_rule="absolute", map_index_template="{{ shard_name }}")
def score(run: dict[str, Any], shard: dict[str, int]) -> int:
    """Score the joints of a shard."""
    get_current_context()["shard_name"] = f"joints {shard['first']}-{shard['first'] + shard['count'] - 1}"  # type: ignore[typeddict-unknown-key]
    return nightly.score(installation(), Run.from_dict(run), Shard(**shard))


# If every image has a prediction, `score` is mapped over nothing and skipped; publishing continues.
@task(trigger_rule="none_failed")
def publish_predictions(run: dict[str, Any]) -> dict[str, int]:
    """Write the predictions of all shards to the warehouse."""
    return nightly.publish_predictions(installation(), Run.from_dict(run))


@task
def analyse(run: dict[str, Any]) -> int:
    """Refresh the tables that relate joint damage to disease activity."""
    return nightly.analyse(installation(), Run.from_dict(run))


@task(trigger_rule="all_done")
def write_report(run: dict[str, Any] | None, steps: dict[str, Any]) -> str:
    """Write the nightly report, also of a failed run."""
    return nightly.write_report(installation(), require_run(run), unfinished=unfinished(steps))


@task(trigger_rule="all_done")
def close_run(run: dict[str, Any] | None, steps: dict[str, Any]) -> dict[str, int]:
    """Record the counts and the result. Fails if a step did not finish, because `all_done` alone ends a run green."""
    return nightly.close_run(installation(), require_run(run), unfinished=unfinished(steps))


@dag(
    dag_id="nightly_scoring",
    dag_display_name="Nightly scoring of joint erosion",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone=TIMEZONE),
    start_date=pendulum.datetime(2026, 1, 1, tz=TIMEZONE),
    # Missed batches are backfilled by a person; unpausing must not start a year of runs.
    catchup=False,
    # Only one run publishes at a time. A backfill ignores this limit, so the warehouse has a lock as well.
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "batch_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Batch date",
            description="Batch to process in a manual run; scheduled runs and backfills take it from their interval.",
        )
    },
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["scoring", "nightly", "impact/tier_1"],
)
def nightly_scoring() -> None:
    """Connect the steps as drawn above."""
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
    report = write_report(run, steps)
    closed = close_run(run, {**steps, "write_report": report})
    chain(run, landed, validated, registered, shards, scored, predicted, analysed, report, closed)


nightly_scoring()
