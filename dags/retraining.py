"""The monthly retraining DAG: train candidates on the site's readings; the best one challenges the champion.

    open_run ── snapshot ── validate ── recipes ══ train (mapped over recipes, pool `gpu`)
                                                     ║
      close_run ── rescore ── was_promoted ── decide ── ask ── worth_asking ── compare

`ask` asks a person: the task waits, without a slot or a triggerer, for an answer under *Required Actions*. It is
skipped if the gate rejects the challenger, or with the parameter `approval: none`. `rescore` starts the DAG
`rescoring`, because a promoted challenger becomes the champion once the history is rescored. Every other task is one
call into `scoring.pipeline`, so `scoring retrain` runs the same steps from a shell.
"""

from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import CronTriggerTimetable, Param, chain, dag, get_current_context, task
from scoring_airflow import SCORING_POOL, TASK_DEFAULTS, installation, started_by, unfinished

from scoring.pipeline import approval, candidates
from scoring.pipeline import retraining as steps
from scoring.pipeline import snapshot as snapshot_steps
from scoring.pipeline.candidates import Candidate
from scoring.pipeline.run import Run, require_run
from scoring.pipeline.snapshot import Snapshot
from scoring.settings import get_settings

TIMEZONE = get_settings().timezone
APPROVERS = [name.strip() for name in get_settings().approvers.split(",") if name.strip()]


@task
def open_run() -> dict[str, Any]:
    """Check the parameters, and register the run in the warehouse."""
    context = get_current_context()
    params, dag_run = context["params"], context["dag_run"]
    approval.check_approval(params["approval"], APPROVERS)
    run = steps.open_run(
        installation(),
        date.fromisoformat(params["cut_off"]) if params["cut_off"] else None,
        recipes=params["recipes"],
        metric=params["metric"],
        trigger=dag_run.run_id,
        triggered_by=started_by(dag_run),
    )
    return run.to_dict()


@task
def snapshot(run: dict[str, Any]) -> dict[str, Any]:
    """Freeze the readings and images to train on."""
    return asdict(snapshot_steps.snapshot(installation(), Run.from_dict(run)))


@task
def validate(run: dict[str, Any], taken: dict[str, Any]) -> dict[str, int]:
    """Check that the snapshot has enough patients and joints of each grade."""
    return snapshot_steps.validate(installation(), Run.from_dict(run), Snapshot(**taken))


@task
def recipes() -> list[str]:
    """Return the recipes to train."""
    return list(get_current_context()["params"]["recipes"])


# The nightly run has priority in the pool, but waits for a running training, so a training stops after 11 hours.
@task(pool=SCORING_POOL, execution_timeout=timedelta(hours=11), map_index_template="{{ recipe_name }}")
def train(run: dict[str, Any], taken: dict[str, Any], recipe: str) -> dict[str, Any]:
    """Train one candidate. After a failure, its retry resumes from the last finished epoch on the same machine."""
    context = get_current_context()
    context["recipe_name"] = recipe  # type: ignore[typeddict-unknown-key]
    candidate = candidates.train(
        installation(),
        Run.from_dict(run),
        Snapshot(**taken),
        recipe,
        epochs=context["params"]["epochs"],
    )
    return asdict(candidate)


@task(pool=SCORING_POOL)
def compare(run: dict[str, Any], taken: dict[str, Any], candidates: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the best candidate with the champion."""
    challenge = steps.compare(
        installation(),
        Run.from_dict(run),
        Snapshot(**taken),
        [Candidate(**each) for each in candidates],
        get_current_context()["params"]["metric"],
    )
    return asdict(challenge)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def worth_asking(challenge: dict[str, Any]) -> bool:
    """Skip the question, and nothing else, unless the challenger is proposed and a person is to decide."""
    return bool(challenge["proposed"]) and get_current_context()["params"]["approval"] == "person"


@task(trigger_rule="none_failed")
def decide(run: dict[str, Any], challenge: dict[str, Any], answer: dict[str, Any] | None) -> str:
    """Record the decision, and promote an approved challenger."""
    context = get_current_context()
    decision = approval.decision_of(
        answer,
        approval=context["params"]["approval"],
        started_by=started_by(context["dag_run"]),
    )
    return steps.decide(installation(), Run.from_dict(run), steps.Challenge(**challenge), decision)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def was_promoted(decision: str) -> bool:
    """Skip the rescoring unless the challenger was promoted."""
    return decision == steps.PROMOTED


@task(trigger_rule="all_done")
def close_run(run: dict[str, Any] | None, results: dict[str, Any]) -> None:
    """Record the result. Fails if a step did not finish, because `all_done` alone ends a run green."""
    if results["decide"] == steps.PROMOTED:
        started = get_current_context()["ti"].xcom_pull(task_ids="rescore", key="trigger_run_id")
        results = {**results, "rescore": started}
    steps.close_run(installation(), require_run(run), unfinished=unfinished(results))


@dag(
    dag_id="retraining",
    dag_display_name="Retraining on the site's own readings",
    # No start date and no run for the current month: unpausing the DAG must not start hours of training at once.
    schedule=CronTriggerTimetable("0 4 1 * *", timezone=TIMEZONE, run_immediately=timedelta(0)),
    catchup=False,
    # A second run would compare its challenger with a champion that the first may be about to replace.
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "recipes": Param(
            ["grid-residual-balanced"],
            type="array",
            items={"type": "string"},
            minItems=1,
            title="Recipes",
            description="One candidate is trained per recipe.",
        ),
        "cut_off": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Cut-off",
            description="Newest batch whose readings are used; empty for the newest there is.",
        ),
        "metric": Param(
            "accuracy_and_kappa",
            type="string",
            enum=[
                "accuracy_and_kappa",
                "class_normalized_accuracy",
                "quadratic_weighted_kappa",
                "within_one_accuracy",
            ],
            title="Metric",
            description="Metric by which champion and challenger are compared.",
        ),
        "approval": Param(
            "person",
            type="string",
            enum=["person", "none"],
            title="Approval",
            description="person: a person decides on a proposed challenger. none: it is promoted at once.",
        ),
        "epochs": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Epochs",
            description="Maximum number of epochs; empty for the recipe's own, 12.",
        ),
    },
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["scoring", "training", "impact/tier_3"],
)
def retraining() -> None:
    """Connect the steps as drawn above."""
    run = open_run()
    taken = snapshot(run)
    validated = validate(run, taken)
    names = recipes()
    trained = train.partial(run=run, taken=taken).expand(recipe=names)
    compared = compare(run, taken, trained)
    asking = worth_asking(compared)
    ask = HITLOperator(
        task_id="ask",
        task_display_name="Shall the challenger become the champion?",
        subject="Shall {{ ti.xcom_pull(task_ids='compare')['challenger'] }} become the champion?",
        body="{{ ti.xcom_pull(task_ids='compare')['question'] }}",
        options=[approval.APPROVE, approval.REJECT],
        # No answer means no approval.
        defaults=approval.REJECT,
        response_timeout=timedelta(days=14),
        params={
            "reason": Param("", type="string", title="Reason", description="Kept with the decision and the promotion.")
        },
        assigned_users=[{"id": name, "name": name} for name in APPROVERS] or None,
    )
    decided = decide(run, compared, ask.output)
    promoted = was_promoted(decided)
    # If `rescoring` is paused, fail: otherwise this run would end green, and the promotion would never take effect.
    rescore = TriggerDagRunOperator(task_id="rescore", trigger_dag_id="rescoring", fail_when_dag_is_paused=True)
    results = {"snapshot": taken, "validate": validated, "compare": compared, "decide": decided}
    closed = close_run(run, results)
    chain(run, taken, validated, names, trained, compared, asking, ask, decided, promoted, rescore, closed)


retraining()
