"""The staging folder of a run: files that one step leaves for the next, on any fsspec URL."""

import errno
import functools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from scoring.errors import ScoringError, StorageUnavailable
from scoring.pipeline.shards import Shard
from scoring.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from upath import UPath

log = logging.getLogger(__name__)

Step = TypeVar("Step", bound=Callable[..., Any])


class RunFolder:
    """The files of one run below `<staging_url>/<run_id>/`."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        from upath import UPath

        self._folder = UPath(settings.staging_url) / run_id

    @property
    def url(self) -> str:
        """The folder, as an fsspec URL or local path."""
        return str(self._folder)

    def path(self, name: str) -> str:
        """Return a file of the folder, as an fsspec URL or local path."""
        return str(self._folder / name)

    def has(self, name: str) -> bool:
        """True if a step left this file."""
        return bool((self._folder / name).exists())

    def write_frame(self, name: str, frame: "pd.DataFrame") -> None:
        """Write or replace a Parquet file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / name).open("wb") as file:
            frame.to_parquet(file, index=False)

    def read_frame(self, name: str) -> "pd.DataFrame":
        """Read a Parquet file: text as pandas strings, dates as `datetime.date`."""
        from scoring.landing.schema import read_parquet

        return read_parquet(self._folder / name)

    def n_rows(self, name: str) -> int:
        """Return the number of rows of a Parquet file, from its footer."""
        import pyarrow.parquet as pq

        with (self._folder / name).open("rb") as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def write_json(self, name: str, content: Any) -> None:
        """Write or replace a JSON file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_text(json.dumps(content))

    def read_json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads((self._folder / name).read_text())

    def failures(self) -> dict[str, str]:
        """Return the error messages of steps whose last attempt failed, by step.

        The step name of a shard ends with the number of its first image.
        """
        if not self._folder.exists():
            return {}
        return {
            path.name.removeprefix("failed_").removesuffix(".txt"): path.read_text()
            for path in sorted(self._folder.glob("failed_*.txt"))
        }

    def clear_shard_failures(self) -> None:
        """Delete the messages of an earlier plan: the new plan may have fewer shards, and never retry those."""
        for path in self._folder.glob("failed_score_*.txt"):
            path.unlink()

    @contextmanager
    def keeping_failure(self, step_name: str) -> Iterator[None]:
        """Keep the message of an error for the report and the last step, until the step is tried again.

        Raises:
            StorageUnavailable: A disk is full.
        """
        note = self._folder / f"failed_{step_name}.txt"
        if note.exists():
            note.unlink()
        try:
            yield
        except Exception as error:
            explained = _explain_full_disk(error)
            # An unexpected error may quote a row; only its type is kept outside the log.
            message = str(explained) if isinstance(explained, ScoringError) else "unexpected error; see the step's log"
            self._keep(note, f"{type(explained).__name__}: {message}")
            if explained is error:
                raise
            raise explained from error

    def _keep(self, note: "UPath", text: str) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            note.write_text(text)
        except OSError:
            # If the disk is full, that error matters, not this one.
            log.warning("failure_not_kept file=%s", note.name)


def _explain_full_disk(error: Exception) -> Exception:
    if not isinstance(error, OSError) or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    where = error.filename or "staging, reports, model store or SCORING_VAR_DIR"
    return StorageUnavailable(
        f"The disk is full ({where}). Free space and try again. Nothing is lost; a training resumes from its last "
        "finished epoch."
    )


def step(function: Step) -> Step:
    """Decorate a step `(settings, run, ...)`: if it fails, its message is kept in the run folder.

    A step that takes a shard keeps one message per shard, so a shard that succeeds does not delete another's message.
    """

    @functools.wraps(function)
    def tried(settings: Settings, run: Any, *args: Any, **kwargs: Any) -> Any:
        name = "_".join([function.__name__, *(str(each.first) for each in args if isinstance(each, Shard))])
        with RunFolder(settings, run.run_id).keeping_failure(name):
            return function(settings, run, *args, **kwargs)

    return cast(Step, tried)
