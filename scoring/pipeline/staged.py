"""A run's staging folder: what one step leaves for the next, on any fsspec URL."""

import errno
import functools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from scoring.errors import ScoringError, StorageUnavailable
from scoring.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from upath import UPath

log = logging.getLogger(__name__)

Step = TypeVar("Step", bound=Callable[..., Any])


@dataclass(frozen=True)
class Shard:
    """A stretch of the run's plan that one scoring task takes."""

    first: int
    count: int


class Staging:
    """Files of one run below `<staging_url>/<run_id>/`.

    Args:
        settings: The installation.
        run_id: The run.
    """

    def __init__(self, settings: Settings, run_id: str) -> None:
        from upath import UPath

        self._folder = UPath(settings.staging_url) / run_id

    @property
    def url(self) -> str:
        """The folder, as an fsspec URL or local path."""
        return str(self._folder)

    def path(self, name: str) -> str:
        """A file of the folder, as an fsspec URL or local path."""
        return str(self._folder / name)

    def has(self, name: str) -> bool:
        """Whether a step left this file."""
        return bool((self._folder / name).exists())

    def write_frame(self, name: str, frame: "pd.DataFrame") -> None:
        """Replace a Parquet file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / name).open("wb") as file:
            frame.to_parquet(file, index=False)

    def read_frame(self, name: str) -> "pd.DataFrame":
        """Read a Parquet file: text as pandas strings, dates as `datetime.date`."""
        from scoring.landing.schema import read_parquet

        return read_parquet(self._folder / name)

    def rows(self, name: str) -> int:
        """Number of rows of a Parquet file, from its footer."""
        import pyarrow.parquet as pq

        with (self._folder / name).open("rb") as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def write_json(self, name: str, content: Any) -> None:
        """Replace a JSON file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_text(json.dumps(content))

    def read_json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads((self._folder / name).read_text())

    def failures(self) -> dict[str, str]:
        """Messages of the steps whose last try failed, by step; a shard's step has its first image's number."""
        if not self._folder.exists():
            return {}
        return {
            path.name.removeprefix("failed_").removesuffix(".txt"): path.read_text()
            for path in sorted(self._folder.glob("failed_*.txt"))
        }

    def forget_failed_shards(self) -> None:
        """Take away what shards of a former plan left: a new plan may have fewer, and nobody would try those again."""
        for path in self._folder.glob("failed_score_*.txt"):
            path.unlink()

    @contextmanager
    def explaining(self, step: str) -> Iterator[None]:
        """Leave the message of an error for the night's page and the gate, until the step is tried again.

        Raises:
            StorageUnavailable: A disk is full.
        """
        note = self._folder / f"failed_{step}.txt"
        if note.exists():
            note.unlink()
        try:
            yield
        except Exception as error:
            told = _told(error)
            # What the job did not foresee may quote a row; only its kind is kept outside the log.
            said = str(told) if isinstance(told, ScoringError) else "not foreseen; the log of the step has it"
            self._leave(note, f"{type(told).__name__}: {said}")
            if told is error:
                raise
            raise told from error

    def _leave(self, note: "UPath", text: str) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            note.write_text(text)
        except OSError:
            # Where the disk is full, that is the error to show, and not this one.
            log.warning("note_not_written file=%s", note.name)


def _told(error: Exception) -> Exception:
    """A full disk in words; any other error as it is."""
    if not isinstance(error, OSError) or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    where = error.filename or "staging, reports, model store or the installation's own folder"
    return StorageUnavailable(
        f"the disk is full ({where}): free space and try again; nothing is lost, a training goes on from its last "
        "finished epoch"
    )


def explained(step: Step) -> Step:
    """Make a step `(settings, run, ...)` leave the message of its error in the run's staging folder.

    A step that takes a shard leaves one for each, so that a shard that succeeds does not take another's away.
    """

    @functools.wraps(step)
    def tried(settings: Settings, run: Any, *args: Any, **kwargs: Any) -> Any:
        name = "_".join([step.__name__, *(str(each.first) for each in args if isinstance(each, Shard))])
        with Staging(settings, run.run_id).explaining(name):
            return step(settings, run, *args, **kwargs)

    return cast(Step, tried)
