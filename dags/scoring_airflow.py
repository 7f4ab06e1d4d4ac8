"""What the DAGs of this project share: the warehouse connection, how tasks are retried, the pool, what a gate looks at.

Parsed by the DAG processor again and again, so nothing heavier than `scoring.errors` and `scoring.settings` is
imported here; pandas, Great Expectations and the engines are imported inside tasks.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Connection, TaskInstanceState, get_current_context
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.types import DagRunProtocol
from pydantic import SecretStr

from scoring.errors import InvalidRequest, LandingNotReady, ScoringError
from scoring.settings import Settings, get_settings

WAREHOUSE_CONNECTION = "warehouse"

# One slot a GPU. On a machine without one the pool bounds how many engines share its cores.
SCORING_POOL = "gpu"

MAY_PASS: list[type[BaseException] | str] = [error for error in ScoringError.__subclasses__() if error.retry]

# By its name, so that parsing a DAG that starts no other imports no operator.
DAG_IS_PAUSED = "airflow.providers.standard.operators.trigger_dagrun.DagIsPaused"

# Bad data stays bad however often it is read: only what can heal by itself is tried again. An error that the job did
# not foresee (no rule matches it) keeps the task's own retries.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(LandingNotReady, RetryAction.RETRY, timedelta(minutes=15), "the extractor may still be writing"),
        RetryRule(MAY_PASS, RetryAction.RETRY, timedelta(minutes=3), "what is unavailable may come back"),
        RetryRule(ScoringError, RetryAction.FAIL, reason="the same input gives the same error"),
        RetryRule(DAG_IS_PAUSED, RetryAction.FAIL, reason="only a person unpauses a DAG"),
    ]
)

# With three minutes between them, an outage of half an hour passes without a person.
TASK_DEFAULTS = {
    "retries": 10,
    "retry_delay": timedelta(minutes=3),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=3),
}


def installation() -> Settings:
    """Settings of this installation, with the warehouse of Airflow's connection `warehouse` where there is one.

    The connection wins over `SCORING_WAREHOUSE_URL`, because it is where an Airflow operator looks for it; without
    either the embedded server is used.
    """
    settings = get_settings()
    try:
        connection = Connection.get(WAREHOUSE_CONNECTION)
    except AirflowNotFoundException:
        return settings
    return settings.model_copy(update={"warehouse_url": SecretStr(warehouse_url(connection))})


def warehouse_url(connection: Connection) -> str:
    """The URL of a connection, with its extra as parameters of libpq, such as `sslmode` or `connect_timeout`.

    Airflow's own `get_uri` packs an extra that is not all text into one parameter, which libpq does not know.

    Raises:
        InvalidRequest: A value of the extra is no text, number or true/false.
    """
    from sqlalchemy.engine import URL

    parameters = connection.extra_dejson
    if nested := sorted(name for name, value in parameters.items() if not isinstance(value, str | int | float)):
        raise InvalidRequest(
            f"the connection {WAREHOUSE_CONNECTION!r} has an extra that is no parameter of libpq: {', '.join(nested)}; "
            'such as {"sslmode": "verify-full"} is one'
        )
    return URL.create(
        "postgresql",
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query={name: str(value) for name, value in parameters.items()},
    ).render_as_string(hide_password=False)


def started_by(dag_run: DagRunProtocol) -> str:
    """Who started a run; if it was nobody, how it was started."""
    return dag_run.triggering_user_name or dag_run.run_type.value


def unfinished(results: dict[str, Any]) -> list[str]:
    """Steps that left no result: they failed, were skipped, or were killed without a word.

    Nor is a step finished that an earlier attempt of this run finished and this one, after clearing, did not reach: its
    result is still there.
    """
    instance = get_current_context()["ti"]
    states = instance.get_task_states(dag_id=instance.dag_id, run_ids=[instance.run_id])[instance.run_id]
    return [
        name
        for name, result in results.items()
        if result is None or states.get(name) in {TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED}
    ]
