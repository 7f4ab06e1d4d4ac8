"""The history under a newly promoted model: scored beside the old predictions, bridged, and then shown.

    open_run ── plan ══ score (mapped over shards, pool `gpu`) ══ analyse ── activate ── close_run

Without a schedule: started by hand or by another DAG after a promotion, without any parameter. Every task is one call
into `scoring.pipeline.rescoring`, so the same steps run from a shell by `scoring rescore`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import Param, chain, dag, get_current_context, task
from scoring_airflow import SCORING_POOL, TASK_DEFAULTS, installation, started_by, unfinished

from scoring.pipeline import rescoring
from scoring.pipeline.run import Run, Shard, require_run
from scoring.settings import get_settings


def accept_missing() -> bool:
    """Whether a person said to go on without images whose files are no longer what was accepted."""
    return bool(get_current_context()["params"]["accept_missing"])


@dag(
    dag_id="rescoring",
    dag_display_name="Rescoring of the history under a new champion",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz=get_settings().timezone),
    catchup=False,
    # Two at once would do the same work twice; the second one finds nothing left to do.
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "accept_missing": Param(
            False,
            type="boolean",
            title="Accept missing images",
            description="Go on without images whose files are gone or were changed since they were accepted.",
        )
    },
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["scoring", "rescoring", "impact/tier_2"],
)
def rescoring_dag() -> None:
    """Wire the steps; see the module's drawing."""

    @task
    def open_run() -> dict[str, Any]:
        dag_run = get_current_context()["dag_run"]
        return rescoring.open_run(installation(), trigger=dag_run.run_id, triggered_by=started_by(dag_run)).to_dict()

    @task
    def plan(run: dict[str, Any]) -> list[dict[str, int]]:
        return [asdict(shard) for shard in rescoring.plan(installation(), Run.from_dict(run))]

    @task(pool=SCORING_POOL, map_index_template="{{ shard_name }}")
    def score(run: dict[str, Any], shard: dict[str, int]) -> dict[str, int]:
        get_current_context()["shard_name"] = f"joints {shard['first']}-{shard['first'] + shard['count'] - 1}"  # type: ignore[typeddict-unknown-key]
        return rescoring.score(installation(), Run.from_dict(run), Shard(**shard), accept_missing=accept_missing())

    # A history that is complete maps `score` over nothing: it is skipped, and the switch goes on.
    @task(trigger_rule="none_failed")
    def analyse(run: dict[str, Any]) -> int:
        return rescoring.analyse(installation(), Run.from_dict(run))

    # In the pool, because it scores what has landed since the plan.
    @task(pool=SCORING_POOL)
    def activate(run: dict[str, Any]) -> dict[str, int]:
        return rescoring.activate(installation(), Run.from_dict(run), accept_missing=accept_missing())

    # The gate. `all_done` alone would turn a failed run green, so it looks at what every step left behind.
    @task(trigger_rule="all_done")
    def close_run(run: dict[str, Any] | None, steps: dict[str, Any]) -> dict[str, int]:
        return rescoring.close_run(installation(), require_run(run), unfinished=unfinished(steps))

    run = open_run()
    shards = plan(run)
    scored = score.partial(run=run).expand(shard=shards)
    analysed = analyse(run)
    activated = activate(run)
    closed = close_run(run, {"plan": shards, "analyse": analysed, "activate": activated})
    chain(run, shards, scored, analysed, activated, closed)


rescoring_dag()
