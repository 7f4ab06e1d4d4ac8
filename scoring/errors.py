"""Errors, one class per action of the operator.

Each class sets the exit code of the `scoring` command, so that a scheduler or shell script can distinguish bad data
from a lost connection without reading the log. `retry` states whether trying again without a person can help; the DAGs
retry accordingly.
"""


class ScoringError(Exception):
    """Base class. The message is written for the operator: what happened, where, and what to do."""

    exit_code = 1
    retry = False


class BadInput(ScoringError):
    """Delivered data cannot be used: a column is missing, a file is unreadable, or too many rows are bad."""

    exit_code = 3


class LandingNotReady(ScoringError):
    """The landing folder is missing or has no `_SUCCESS` yet; the extractor may still be writing."""

    exit_code = 4
    retry = True


class WarehouseUnavailable(ScoringError):
    """PostgreSQL cannot be reached, closed the connection, or granted no lock in time. Nothing was written partly."""

    exit_code = 5
    retry = True


class WarehouseNotMigrated(ScoringError):
    """The schema of the warehouse is older or newer than this code expects."""

    exit_code = 6


class ModelRejected(ScoringError):
    """Files of a model are missing or differ from their manifest, or two engines disagree about the model."""

    exit_code = 7


class ReconciliationFailed(ScoringError):
    """The row counts of a run do not reconcile: a received row has no outcome, or a step did not finish."""

    exit_code = 8


class InvalidRequest(ScoringError):
    """The arguments or settings are invalid, such as a run without a batch date."""

    exit_code = 9


class RuleNotComputed(ScoringError):
    """A validation rule could not be computed, because the staged columns do not match it. The data may be good."""

    exit_code = 10


class StorageUnavailable(ScoringError):
    """Storage is full or does not respond, such as a share that timed out. The files on it may be intact."""

    exit_code = 11
    retry = True


class TrainingDiverged(ScoringError):
    """The loss of a training became NaN. Nothing was written to the model store."""

    exit_code = 12
