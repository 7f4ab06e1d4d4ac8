"""The DAG files: they parse without heavy packages, and tasks have the right pools, retries and gates."""

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.lib.processes import run_in_process

DAGS = Path(__file__).parents[2] / "dags"
DAG_FILES = sorted(path.name for path in DAGS.glob("*.py") if path.name != "scoring_airflow.py")
HEAVY = {"tensorflow", "keras", "openvino", "great_expectations", "pandas", "scipy", "matplotlib", "pyarrow"}

PARSE = """
import json, runpy, sys

sys.path.insert(0, "dags")
parsed = [runpy.run_path(f"dags/{name}") for name in sys.argv[1:]]
asked = [module["retraining"]().get_task("ask").assigned_users for module in parsed if "HITLOperator" in module]
print(json.dumps({"modules": sorted(sys.modules), "asked": asked}))
"""


def test_dag_files_import_no_heavy_package_and_read_the_approvers(airflow_home, monkeypatch):
    monkeypatch.setenv("SCORING_APPROVERS", "anna, dr.b")
    parsed = run_in_process(PARSE, *DAG_FILES, timeout=120)
    assert HEAVY.isdisjoint(parsed["modules"])
    assert parsed["asked"] == [[{"id": "anna", "name": "anna"}, {"id": "dr.b", "name": "dr.b"}]]


def test_every_dag_file_imports_without_error(dag_bag):
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == {"nightly_scoring", "rescoring", "retraining"}
    assert [f"{name}.py" for name in sorted(dag_bag.dags)] == DAG_FILES


def test_every_dag_has_a_runbook_and_every_task_a_retry_policy(dag_bag):
    for dag in dag_bag.dags.values():
        assert dag.doc_md, f"{dag.dag_id} has no runbook"
        assert any(tag.startswith("impact/tier_") for tag in dag.tags)
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        for task in dag.tasks:
            assert task.retries > 0, task.task_id
            assert task.has_retry_policy, task.task_id
            assert task.execution_timeout is not None, task.task_id


def test_nightly_scoring_has_a_data_interval_and_close_run_as_its_only_leaf(dag_bag):
    dag = dag_bag.dags["nightly_scoring"]
    assert type(dag.timetable).__name__ == "CronDataIntervalTimetable"
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task("close_run").trigger_rule == "all_done"
    assert dag.get_task("score").pool == "gpu"


def test_rescoring_has_no_schedule_and_close_run_as_its_only_leaf(dag_bag):
    from airflow.configuration import conf

    from scoring.pipeline.rescoring import MAX_SHARDS

    dag = dag_bag.dags["rescoring"]
    assert dag.schedule is None
    assert dag.params.dump() == {"accept_missing": False}
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task("close_run").trigger_rule == "all_done"
    assert dag.get_task("score").pool == dag.get_task("activate").pool == "gpu"
    assert conf.getint("core", "max_map_length") >= MAX_SHARDS


def test_retraining_asks_without_a_triggerer_and_no_answer_approves_nothing(dag_bag):
    from scoring.pipeline import approval
    from scoring.training.evaluation.challenge import METRICS
    from scoring.training.recipes import FOR_A_SITE, RECIPES

    dag = dag_bag.dags["retraining"]
    # It has no data interval to fill: it uses the batches that have arrived when it runs. Unpausing it starts nothing.
    assert type(dag.timetable).__name__ == "CronTriggerTimetable"
    assert (dag.start_date, dag.timetable.run_immediately) == (None, timedelta(0))
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task("train").pool == dag.get_task("compare").pool == "gpu"
    ask = dag.get_task("ask")
    assert (ask.options, ask.defaults) == ([approval.APPROVE, approval.REJECT], [approval.REJECT])
    assert ask.response_timeout == timedelta(days=14)
    assert ask.assigned_users is None
    assert set(ask.downstream_task_ids) == {"decide"}
    assert dag.get_task("decide").trigger_rule == "none_failed"
    # The DAG file repeats these values, because it must not import training.
    assert dag.params.get_param("metric").schema["enum"] == list(METRICS)
    assert dag.params.dump()["metric"] == METRICS[0]
    assert dag.params.dump()["recipes"] == [FOR_A_SITE]
    assert dag.params.get_param("epochs").description.endswith(f"own, {RECIPES[FOR_A_SITE].epochs}.")


def test_nightly_score_has_priority_over_all_other_tasks_of_its_pool(dag_bag):
    def in_pool(dag_id):
        return {task.task_id: task for task in dag_bag.dags[dag_id].tasks if task.pool == "gpu"}

    (nightly,) = in_pool("nightly_scoring").values()
    assert nightly.weight_rule == "absolute"
    others = in_pool("retraining") | in_pool("rescoring")
    assert set(others) == {"train", "compare", "score", "activate"}
    # Each downstream task adds one to a weight.
    assert all(task.priority_weight == 1 for task in others.values())
    assert nightly.priority_weight > max(len(dag.tasks) for dag in dag_bag.dags.values())


@pytest.mark.parametrize(
    ("extra", "query"),
    [
        ({}, {}),
        ({"sslmode": "verify-full"}, {"sslmode": "verify-full"}),
        ({"connect_timeout": 10, "keepalives_idle": 30}, {"connect_timeout": "10", "keepalives_idle": "30"}),
    ],
)
def test_warehouse_url_passes_on_parameters_of_libpq(dag_bag, extra, query):
    from airflow.sdk import Connection
    from psycopg2.extensions import parse_dsn
    from scoring_airflow import warehouse_url

    connection = Connection(
        conn_id="warehouse",
        conn_type="postgres",
        host="db",
        port=5433,
        login="job",
        password="p@ss/word",  # noqa: S106 - of no account
        schema="hospital",
        extra=json.dumps(extra) if extra else None,
    )
    expected = {"host": "db", "port": "5433", "user": "job", "password": "p@ss/word", "dbname": "hospital"}
    assert parse_dsn(warehouse_url(connection)) == expected | query


def test_warehouse_url_rejects_nested_extras(dag_bag):
    from airflow.sdk import Connection
    from scoring_airflow import warehouse_url

    from scoring.errors import InvalidRequest

    nested = Connection(conn_id="warehouse", conn_type="postgres", host="db", extra='{"options": {"a": 1}}')
    with pytest.raises(InvalidRequest, match="not libpq parameters: options"):
        warehouse_url(nested)


def test_unfinished_lists_steps_that_this_attempt_did_not_reach_even_if_they_have_a_result(dag_bag, monkeypatch):
    import scoring_airflow

    states = {"land": "success", "score_0": "failed", "publish": "upstream_failed", "plan": "failed"}
    instance = SimpleNamespace(dag_id="a", run_id="manual", get_task_states=lambda **_: {"manual": states})
    monkeypatch.setattr(scoring_airflow, "get_current_context", lambda: {"ti": instance})
    results = {"land": 3, "plan": [], "publish": {"scored": 1}, "analyse": None}
    assert scoring_airflow.unfinished(results) == ["plan", "publish", "analyse"]


def test_retry_policy_retries_a_lost_connection_and_not_bad_data(dag_bag):
    from airflow.sdk.definitions.retry_policy import RetryAction

    from scoring.errors import BadInput, LandingNotReady, ModelRejected, WarehouseUnavailable

    policy = dag_bag.dags["nightly_scoring"].get_task("land").retry_policy

    def action(error):
        return policy.evaluate(error, 1, 3, {}).action

    assert action(BadInput("x")) is RetryAction.FAIL
    assert action(ModelRejected("x")) is RetryAction.FAIL
    assert action(WarehouseUnavailable("x")) is RetryAction.RETRY
    assert action(LandingNotReady("x")) is RetryAction.RETRY


def test_retry_policy_does_not_wait_for_a_paused_dag(dag_bag):
    """Half an hour of retries would delay the message that only a person can help."""
    from airflow.providers.standard.operators.trigger_dagrun import DagIsPaused
    from airflow.sdk.definitions.retry_policy import RetryAction

    rescore = dag_bag.dags["retraining"].get_task("rescore")
    assert rescore.fail_when_dag_is_paused
    assert rescore.retry_policy.evaluate(DagIsPaused("rescoring"), 1, 3, {}).action is RetryAction.FAIL


def test_make_registers_dags_as_not_paused():
    """`make nightly` registers the DAG; if it were paused, no backfill of a later `make airflow` would begin."""
    shown = subprocess.run(
        ["make", "--silent", "--eval", "show: ; @env", "show"],
        cwd=DAGS.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False" in shown.stdout.splitlines()
