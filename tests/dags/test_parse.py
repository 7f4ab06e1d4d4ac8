"""DAG files: they parse, they parse light, and they keep the house's policy."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

DAGS = Path(__file__).parents[2] / "dags"
DAG_FILES = sorted(path for path in DAGS.glob("*.py") if path.name != "scoring_airflow.py")
HEAVY = {"tensorflow", "keras", "openvino", "great_expectations", "pandas", "scipy", "matplotlib", "pyarrow"}


@pytest.fixture(scope="module")
def dag_bag(airflow_home):
    from airflow.dag_processing.dagbag import BundleDagBag

    sys.path.insert(0, str(DAGS))
    bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    yield bag
    sys.path.remove(str(DAGS))


def test_there_are_dag_files():
    assert DAG_FILES


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_parsing_a_dag_file_reaches_no_heavy_package(path, airflow_home):
    code = f"import runpy, sys; sys.path.insert(0, {str(DAGS)!r}); runpy.run_path({str(path)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert HEAVY.isdisjoint(done.stdout.split())


def test_every_file_imports_without_error(dag_bag):
    assert dag_bag.import_errors == {}


def test_policy(dag_bag):

    for dag in dag_bag.dags.values():
        assert dag.doc_md, f"{dag.dag_id} has no runbook"
        assert any(tag.startswith("impact/tier_") for tag in dag.tags)
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        for task in dag.tasks:
            assert task.retries > 0, task.task_id
            assert task.has_retry_policy, task.task_id
            assert task.execution_timeout is not None, task.task_id


def test_nightly_has_a_data_interval_a_zone_and_a_gate_as_its_only_leaf(dag_bag):
    dag = dag_bag.dags["nightly_scoring"]
    assert type(dag.timetable).__name__ == "CronDataIntervalTimetable"
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task("close_run").trigger_rule == "all_done"
    assert dag.get_task("score").pool == "gpu"


def test_rescoring_is_started_without_a_schedule_or_parameters_and_has_a_gate_as_its_only_leaf(dag_bag):
    from airflow.configuration import conf

    from scoring.pipeline.rescoring import MAX_SHARDS

    dag = dag_bag.dags["rescoring"]
    assert dag.schedule is None
    assert dag.params.dump() == {"accept_missing": False}
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task("close_run").trigger_rule == "all_done"
    assert dag.get_task("score").pool == dag.get_task("activate").pool == "gpu"
    assert conf.getint("core", "max_map_length") >= MAX_SHARDS


def test_retraining_asks_without_a_triggerer_and_silence_approves_nothing(dag_bag):
    from datetime import timedelta

    from scoring.pipeline import retraining
    from scoring.training.evaluation.challenge import METRICS
    from scoring.training.recipes import FOR_A_SITE, RECIPES

    dag = dag_bag.dags["retraining"]
    # It has no data interval to fill: it takes what has landed when it runs. And unpausing it starts nothing.
    assert type(dag.timetable).__name__ == "CronTriggerTimetable"
    assert (dag.start_date, dag.timetable.run_immediately) == (None, timedelta(0))
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert dag.get_task("train").pool == dag.get_task("compare").pool == "gpu"
    ask = dag.get_task("ask")
    assert (ask.options, ask.defaults) == ([retraining.APPROVE, retraining.REFUSE], [retraining.REFUSE])
    assert ask.response_timeout == timedelta(days=14)
    assert ask.assigned_users is None
    assert set(ask.downstream_task_ids) == {"decide"}
    assert dag.get_task("decide").trigger_rule == "none_failed"
    # Written out in the DAG file, which must not import training.
    assert dag.params.get_param("metric").schema["enum"] == list(METRICS)
    assert dag.params.dump()["metric"] == METRICS[0]
    assert dag.params.dump()["recipes"] == [FOR_A_SITE]
    assert dag.params.get_param("epochs").description.endswith(f"own, {RECIPES[FOR_A_SITE].epochs}.")


def test_only_named_approvers_may_answer(airflow_home, monkeypatch):
    code = (
        f"import sys; sys.path.insert(0, {str(DAGS)!r}); import retraining;"
        " print(retraining.retraining().get_task('ask').assigned_users)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"SCORING_APPROVERS": "anna, dr.b"},
    )
    assert done.stdout.splitlines()[-1] == "[{'id': 'anna', 'name': 'anna'}, {'id': 'dr.b', 'name': 'dr.b'}]"


def test_where_approvers_are_named_no_run_does_without_them():
    from scoring.errors import InvalidRequest
    from scoring.pipeline.approval import check_approval

    check_approval("person", ["anna"])
    check_approval("none", [])
    with pytest.raises(InvalidRequest, match="SCORING_APPROVERS names who decides"):
        check_approval("none", ["anna"])


def test_the_night_is_in_front_of_all_that_waits_for_its_pool(dag_bag):
    def in_pool(dag):
        return {task.task_id: task for task in dag.tasks if task.pool == "gpu"}

    (night,) = in_pool(dag_bag.dags["nightly_scoring"]).values()
    assert night.weight_rule == "absolute"
    others = {**in_pool(dag_bag.dags["retraining"]), **in_pool(dag_bag.dags["rescoring"])}
    assert set(others) == {"train", "compare", "score", "activate"}
    # Downstream tasks add to a weight, one each.
    assert all(task.priority_weight == 1 for task in others.values())
    assert night.priority_weight > max(len(dag.tasks) for dag in dag_bag.dags.values())


@pytest.mark.parametrize(
    ("extra", "query"),
    [
        ({}, {}),
        ({"sslmode": "verify-full"}, {"sslmode": "verify-full"}),
        ({"connect_timeout": 10, "keepalives_idle": 30}, {"connect_timeout": "10", "keepalives_idle": "30"}),
    ],
)
def test_a_connection_may_have_parameters_of_the_driver(dag_bag, extra, query):
    from airflow.sdk import Connection
    from psycopg2.extensions import parse_dsn
    from scoring_airflow import warehouse_url

    connection = Connection(
        conn_id="warehouse",
        conn_type="postgres",
        host="db",
        port=5433,
        login="job",
        password="p@ss/word",  # noqa: S106 - of nobody
        schema="hospital",
        extra=json.dumps(extra) if extra else None,
    )
    expected = {"host": "db", "port": "5433", "user": "job", "password": "p@ss/word", "dbname": "hospital"}
    assert parse_dsn(warehouse_url(connection)) == expected | query


def test_an_extra_that_no_driver_knows_is_named(dag_bag):
    from airflow.sdk import Connection
    from scoring_airflow import warehouse_url

    from scoring.errors import InvalidRequest

    nested = Connection(conn_id="warehouse", conn_type="postgres", host="db", extra='{"options": {"a": 1}}')
    with pytest.raises(InvalidRequest, match="no parameter of libpq: options"):
        warehouse_url(nested)


def test_a_step_that_this_attempt_did_not_reach_is_not_finished_though_its_result_is_there(dag_bag, monkeypatch):
    import scoring_airflow

    states = {"land": "success", "score_0": "failed", "publish": "upstream_failed", "plan": "failed"}
    instance = SimpleNamespace(dag_id="a", run_id="manual", get_task_states=lambda **_: {"manual": states})
    monkeypatch.setattr(scoring_airflow, "get_current_context", lambda: {"ti": instance})
    results = {"land": 3, "plan": [], "publish": {"scored": 1}, "analyse": None}
    assert scoring_airflow.unfinished(results) == ["plan", "publish", "analyse"]


def test_bad_data_is_not_retried_and_a_lost_connection_is(dag_bag):
    from airflow.sdk.definitions.retry_policy import RetryAction

    from scoring.errors import BadInput, LandingNotReady, ModelRejected, WarehouseUnavailable

    policy = dag_bag.dags["nightly_scoring"].get_task("land").retry_policy

    def action(error):
        return policy.evaluate(error, 1, 3, {}).action

    assert action(BadInput("x")) is RetryAction.FAIL
    assert action(ModelRejected("x")) is RetryAction.FAIL
    assert action(WarehouseUnavailable("x")) is RetryAction.RETRY
    assert action(LandingNotReady("x")) is RetryAction.RETRY


def test_a_paused_dag_is_not_waited_for(dag_bag):
    """Retried for half an hour, it would keep from a person that only a person can help."""
    from airflow.providers.standard.operators.trigger_dagrun import DagIsPaused
    from airflow.sdk.definitions.retry_policy import RetryAction

    rescore = dag_bag.dags["retraining"].get_task("rescore")
    assert rescore.fail_when_dag_is_paused
    assert rescore.retry_policy.evaluate(DagIsPaused("rescoring"), 1, 3, {}).action is RetryAction.FAIL


def test_whichever_command_meets_the_dag_first_leaves_it_unpaused():
    """`make nightly` registers the DAG; paused, it would let no backfill of a later `make airflow` begin."""
    shown = subprocess.run(
        ["make", "--silent", "--eval", "show: ; @env", "show"],
        cwd=DAGS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False" in shown.stdout.splitlines()
