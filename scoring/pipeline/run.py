"""A run: one attempt of a job, how it is opened and closed."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scoring.errors import InvalidRequest, ReconciliationFailed, ScoringError
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from scoring.model_store.stored_model import StoredModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One attempt of a job, passed from step to step.

    Attributes:
        run_id: UUID; every row that the run writes carries it.
        batch_date: Date of the batch. Of a rescoring the newest batch, of a retraining the cut-off: the newest batch
            whose readings are used.
        model_version: The model that the run scores with; of a retraining the champion.
        preprocessing_version: Preprocessing of that model.
    """

    run_id: str
    batch_date: date
    model_version: str
    preprocessing_version: str

    def to_dict(self) -> dict[str, str]:
        """Return the run as an XCom value."""
        return {**asdict(self), "batch_date": self.batch_date.isoformat()}

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> "Run":
        """Return the run of an XCom value."""
        return cls(**{**values, "batch_date": date.fromisoformat(values["batch_date"])})  # type: ignore[arg-type]


def require_run(values: Mapping[str, str] | None) -> Run:
    """Return the run of an XCom value.

    Raises:
        InvalidRequest: `open_run` left no value.
    """
    if values is None:
        raise InvalidRequest("The run was not opened. See the log of the task open_run.")
    return Run.from_dict(values)


def begin(
    settings: Settings, job: str, batch_date: date, model: "StoredModel", *, trigger: str, triggered_by: str
) -> Run:
    """Append a run to the warehouse.

    Args:
        settings: Settings of the installation.
        job: Name of the job, as in `scoring.run.job`.
        batch_date: See `Run`.
        model: See `Run`.
        trigger: The scheduler's id of the run, or "cli".
        triggered_by: The user, or how the run was started ("scheduled", "backfill").
    """
    from scoring.warehouse.publish import runs

    run = Run(str(uuid4()), batch_date, model.version, model.preprocessing_version)
    runs.open_run(
        connect.warehouse(settings),
        run.run_id,
        batch_date,
        trigger=trigger,
        triggered_by=triggered_by,
        code_revision=settings.revision,
        model_version=model.version,
        job=job,
    )
    log.info("run_opened job=%s run_id=%s batch_date=%s model=%s", job, run.run_id, batch_date, model.version)
    return run


def finish(
    settings: Settings,
    run: Run,
    discrepancies: Sequence[str],
    *,
    summary: str,
    error: type[ScoringError] = ReconciliationFailed,
) -> None:
    """Append the result of a run: failed if there is any discrepancy, else succeeded.

    Args:
        settings: Settings of the installation.
        run: The run.
        discrepancies: Reasons why the run may not succeed.
        summary: Beginning of the message of a failed run.
        error: The exception to raise.

    Raises:
        ScoringError: `error`, if there is any discrepancy.
    """
    from scoring.warehouse.publish import runs

    engine = connect.warehouse(settings)
    if discrepancies:
        message = f"{summary}: {'; '.join(discrepancies)}"
        runs.close_run(engine, run.run_id, "failed", message)
        raise error(message)
    runs.close_run(engine, run.run_id, "succeeded")


@contextmanager
def failure_recorded(run: Run, close: Callable[..., Any]) -> Iterator[None]:
    """Record the run as failed if one of the steps inside raises; the exception propagates.

    Args:
        run: The run, already opened.
        close: Closes the run; called with `unfinished`, the names of steps without a result.
    """
    try:
        yield
    except Exception:
        try:
            close(unfinished=["(see the error)"])
        except ScoringError as error:
            log.info("run_failed run_id=%s message=%s", run.run_id, error)
        except Exception:
            log.exception("run_not_closed run_id=%s", run.run_id)
        raise
