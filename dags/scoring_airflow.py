"""Shared parts of the DAGs: warehouse connection, retry policy, pool, and the check for unfinished steps.

The DAG processor parses this file again and again, so it imports nothing heavier than `scoring.errors` and
`scoring.settings`; pandas, Great Expectations and the engines are imported inside tasks.
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

# One slot per GPU. Without a GPU, the pool limits how many engines share the CPU.
SCORING_POOL = "gpu"

TEMPORARY: list[type[BaseException] | str] = [error for error in ScoringError.__subclasses__() if error.retry]

# As text, so that parsing a DAG without this operator does not import it.
DAG_IS_PAUSED = "airflow.providers.standard.operators.trigger_dagrun.DagIsPaused"

# Only errors that can disappear by themselves are retried; bad data stays bad. An unexpected error, which no rule
# matches, is retried as often as the task allows.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(LandingNotReady, RetryAction.RETRY, timedelta(minutes=15), "the extractor may still be writing"),
        RetryRule(TEMPORARY, RetryAction.RETRY, timedelta(minutes=3), "a temporary failure"),
        RetryRule(ScoringError, RetryAction.FAIL, reason="the same input gives the same error"),
        RetryRule(DAG_IS_PAUSED, RetryAction.FAIL, reason="only a person unpauses a DAG"),
    ]
)

# Ten retries, three minutes apart, bridge an outage of half an hour.
TASK_DEFAULTS = {
    "retries": 10,
    "retry_delay": timedelta(minutes=3),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=3),
}


def installation() -> Settings:
    """Return the settings, with the warehouse of the Airflow connection `warehouse` if it exists.

    The connection takes precedence over `SCORING_WAREHOUSE_URL`, because Airflow operators look there first. Without
    either, the embedded server is used.
    """
    settings = get_settings()
    try:
        connection = Connection.get(WAREHOUSE_CONNECTION)
    except AirflowNotFoundException:
        return settings
    return settings.model_copy(update={"warehouse_url": SecretStr(warehouse_url(connection))})


def warehouse_url(connection: Connection) -> str:
    """Return the URL of a connection, with its extra as libpq parameters such as `sslmode` or `connect_timeout`.

    Airflow's own `get_uri` packs an extra with non-text values into one parameter that libpq does not know.

    Raises:
        InvalidRequest: A value of the extra is not text, a number or a boolean.
    """
    from sqlalchemy.engine import URL

    parameters = connection.extra_dejson
    if nested := sorted(name for name, value in parameters.items() if not isinstance(value, str | int | float)):
        raise InvalidRequest(
            f"The extra of the connection {WAREHOUSE_CONNECTION!r} has values that are not libpq parameters: "
            f'{", ".join(nested)}. Use plain values, such as {{"sslmode": "verify-full"}}.'
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
    """Return the user who started a run, or how it was started ("scheduled", "backfill")."""
    return dag_run.triggering_user_name or dag_run.run_type.value


def unfinished(results: dict[str, Any]) -> list[str]:
    """Return the names of steps without a result: they failed, were skipped or were killed.

    A step that was cleared and not reached again counts as unfinished, although its earlier result still exists.
    """
    instance = get_current_context()["ti"]
    states = instance.get_task_states(dag_id=instance.dag_id, run_ids=[instance.run_id])[instance.run_id]
    return [
        name
        for name, result in results.items()
        if result is None or states.get(name) in {TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED}
    ]
