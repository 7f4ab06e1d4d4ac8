"""The rescoring DAG: score the history with the promoted model, then make that model the champion.

    open_run ── plan ══ score (mapped over shards, pool `gpu`) ══ analyse ── activate ── close_run

It has no schedule: a person or the DAG `retraining` starts it after a promotion. Every task is one call into
`scoring.pipeline.rescoring`, so `scoring rescore` runs the same steps from a shell.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import Param, chain, dag, get_current_context, task
from scoring_airflow import SCORING_POOL, TASK_DEFAULTS, installation, started_by, unfinished

from scoring.pipeline import rescoring
from scoring.pipeline.run import Run, require_run
from scoring.pipeline.shards import Shard
from scoring.settings import get_settings


def accept_missing() -> bool:
    """Return the parameter `accept_missing` of this run."""
    return bool(get_current_context()["params"]["accept_missing"])


@task
def open_run() -> dict[str, Any]:
    """Register the run in the warehouse, with the promoted model."""
    dag_run = get_current_context()["dag_run"]
    return rescoring.open_run(installation(), trigger=dag_run.run_id, triggered_by=started_by(dag_run)).to_dict()


@task
def plan(run: dict[str, Any]) -> list[dict[str, int]]:
    """Divide the images without a prediction of the promoted model into shards."""
    return [asdict(shard) for shard in rescoring.plan(installation(), Run.from_dict(run))]


@task(pool=SCORING_POOL, map_index_template="{{ shard_name }}")
def score(run: dict[str, Any], shard: dict[str, int]) -> dict[str, int]:
    """Score the joints of a shard."""
    get_current_context()["shard_name"] = f"joints {shard['first']}-{shard['first'] + shard['count'] - 1}"  # type: ignore[typeddict-unknown-key]
    return rescoring.score(installation(), Run.from_dict(run), Shard(**shard), accept_missing=accept_missing())


# If every image has a prediction, `score` is mapped over nothing and skipped; the run continues.
@task(trigger_rule="none_failed")
def analyse(run: dict[str, Any]) -> int:
    """Compute the tables that relate joint damage to disease activity from the new predictions."""
    return rescoring.analyse(installation(), Run.from_dict(run))


# In the pool, because it scores the images that arrived since the plan.
@task(pool=SCORING_POOL)
def activate(run: dict[str, Any]) -> dict[str, int]:
    """Score the images that arrived since the plan, and make the model the champion."""
    return rescoring.activate(installation(), Run.from_dict(run), accept_missing=accept_missing())


@task(trigger_rule="all_done")
def close_run(run: dict[str, Any] | None, steps: dict[str, Any]) -> dict[str, int]:
    """Record the counts and the result. Fails if a step did not finish, because `all_done` alone ends a run green."""
    return rescoring.close_run(installation(), require_run(run), unfinished=unfinished(steps))


@dag(
    dag_id="rescoring",
    dag_display_name="Rescoring of the history with a new champion",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz=get_settings().timezone),
    catchup=False,
    # Two runs at once would do the same work twice.
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "accept_missing": Param(
            False,
            type="boolean",
            title="Accept missing images",
            description="Continue without images whose files are missing or were changed since they were accepted.",
        )
    },
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["scoring", "rescoring", "impact/tier_2"],
)
def rescoring_dag() -> None:
    """Connect the steps as drawn above."""
    run = open_run()
    shards = plan(run)
    scored = score.partial(run=run).expand(shard=shards)
    analysed = analyse(run)
    activated = activate(run)
    closed = close_run(run, {"plan": shards, "analyse": analysed, "activate": activated})
    chain(run, shards, scored, analysed, activated, closed)


rescoring_dag()
