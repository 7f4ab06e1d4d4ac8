import errno
import os
from datetime import date

import pytest

from scoring.errors import BadInput, StorageUnavailable
from scoring.pipeline.run import Run
from scoring.pipeline.run_folder import RunFolder, step
from scoring.pipeline.shards import Shard
from scoring.settings import Settings

RUN = Run("a-run", date(2026, 11, 21), "test-1", "grey128-v1")


@pytest.fixture
def site(tmp_path):
    return Settings(_env_file=None, var_dir=tmp_path)


@pytest.fixture
def folder(site):
    return RunFolder(site, RUN.run_id)


def test_keeping_failure_keeps_the_message_until_the_step_is_tried_again(folder):
    with pytest.raises(BadInput, match="A column is missing"), folder.keeping_failure("land"):
        raise BadInput("A column is missing.")
    assert folder.failures() == {"land": "BadInput: A column is missing."}
    with folder.keeping_failure("land"):
        # The report written during this attempt must not show the earlier failure.
        assert folder.failures() == {}


def test_keeping_failure_does_not_quote_an_unexpected_error(folder):
    with pytest.raises(ValueError, match="Muster"), folder.keeping_failure("land"):
        raise ValueError("Hans Muster")
    assert folder.failures() == {"land": "ValueError: unexpected error; see the step's log"}


def test_clear_shard_failures_keeps_the_messages_of_other_steps(site, folder):
    @step
    def score(settings, run, shard):
        raise StorageUnavailable("The share timed out.")

    @step
    def land(settings, run):
        raise BadInput("The table is empty.")

    for attempt in (
        lambda: score(site, RUN, Shard(0, 5)),
        lambda: score(site, RUN, Shard(5, 5)),
        lambda: land(site, RUN),
    ):
        with pytest.raises((StorageUnavailable, BadInput)):
            attempt()
    assert set(folder.failures()) == {"land", "score_0", "score_5"}
    folder.clear_shard_failures()
    assert set(folder.failures()) == {"land"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_keeping_failure_explains_a_full_disk_even_if_no_message_can_be_kept(folder, number, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(type(folder._folder), "write_text", full)
    explained = pytest.raises(StorageUnavailable, match=r"The disk is full \(x.parquet\). Free space")
    with explained, folder.keeping_failure("land"):
        raise OSError(number, os.strerror(number), "x.parquet")
    assert "failure_not_kept file=failed_land.txt" in caplog.text


def test_keeping_failure_leaves_other_system_errors_unchanged(folder):
    with pytest.raises(PermissionError), folder.keeping_failure("land"):
        raise PermissionError(errno.EACCES, "no")
