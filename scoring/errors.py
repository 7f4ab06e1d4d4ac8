"""What can go wrong, as one exception class for each thing an operator would do about it.

Every class carries the exit code of the `scoring` command, so that a scheduler or a shell script can tell bad data
from a lost connection without reading the log. `retry` says whether trying again without a person can help: the DAG's
retry policies are made of it.
"""


class ScoringError(Exception):
    """Base of all errors that the job explains itself. The message is written for the operator: what, where, remedy."""

    exit_code = 1
    retry = False


class BadInput(ScoringError):
    """Landed data cannot be used as a whole: a missing column, an unreadable file, too large a share of bad rows."""

    exit_code = 3


class LandingNotReady(ScoringError):
    """The night's folder is absent or has no `_SUCCESS` yet; the extractor may still be writing."""

    exit_code = 4
    retry = True


class WarehouseUnavailable(ScoringError):
    """PostgreSQL cannot be reached, went away, or refused a lock for now. Nothing half-written was left behind."""

    exit_code = 5
    retry = True


class WarehouseNotMigrated(ScoringError):
    """The warehouse's schema is older or newer than this code expects."""

    exit_code = 6


class ModelRefused(ScoringError):
    """A model's files are missing, do not match their manifest, or two engines disagree about it."""

    exit_code = 7


class BooksDoNotBalance(ScoringError):
    """Landed rows are not accounted for: landed differs from scored + already scored + quarantined."""

    exit_code = 8


class InvalidRequest(ScoringError):
    """The caller asked for something that has no meaning, such as a run without any batch date."""

    exit_code = 9


class RuleNotComputed(ScoringError):
    """A validation rule broke down without a verdict: staging and suite disagree. It says nothing about the data."""

    exit_code = 10


class StorageUnavailable(ScoringError):
    """A storage does not answer, such as a share that timed out, or is full. What lies in it may be well."""

    exit_code = 11
    retry = True


class TrainingDiverged(ScoringError):
    """The loss of a training is not a number any more. Nothing was written to the model store."""

    exit_code = 12
