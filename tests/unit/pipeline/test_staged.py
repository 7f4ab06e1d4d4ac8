"""What a step that fails leaves behind for the gate."""

import errno
import os
from datetime import date

import pytest

from scoring.errors import BadInput, StorageUnavailable
from scoring.pipeline.run import Run, Shard
from scoring.pipeline.run_folder import Staging, explained
from scoring.settings import Settings

RUN = Run("a-run", date(2026, 11, 21), "test-1", "grey128-v1")


@pytest.fixture
def site(tmp_path):
    return Settings(_env_file=None, var_dir=tmp_path)


def test_a_note_lasts_until_the_step_is_tried_again(site):
    staging = Staging(site, RUN.run_id)
    with pytest.raises(BadInput, match="a column is missing"), staging.explaining("land"):
        raise BadInput("a column is missing")
    assert staging.failures() == {"land": "BadInput: a column is missing"}
    with staging.explaining("land"):
        # The page that this try writes must not tell of the one before.
        assert staging.failures() == {}


def test_what_was_not_foreseen_is_not_quoted(site):
    staging = Staging(site, RUN.run_id)
    with pytest.raises(ValueError, match="Muster"), staging.explaining("land"):
        raise ValueError("Hans Muster")
    assert staging.failures() == {"land": "ValueError: not foreseen; the log of the step has it"}


def test_shards_of_a_former_plan_are_forgotten(site):
    @explained
    def score(settings, run, shard):
        raise StorageUnavailable("away")

    @explained
    def land(settings, run):
        raise BadInput("empty")

    for step in (lambda: score(site, RUN, Shard(0, 5)), lambda: score(site, RUN, Shard(5, 5)), lambda: land(site, RUN)):
        with pytest.raises((StorageUnavailable, BadInput)):
            step()
    staging = Staging(site, RUN.run_id)
    assert set(staging.failures()) == {"land", "score_0", "score_5"}
    staging.forget_failed_shards()
    assert set(staging.failures()) == {"land"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_in_words_even_where_no_note_can_be_written(site, number, monkeypatch, caplog):
    staging = Staging(site, RUN.run_id)
    monkeypatch.setattr(type(staging._folder), "write_text", _full(number))
    full = pytest.raises(StorageUnavailable, match=r"the disk is full \(x.parquet\): free space")
    with full, staging.explaining("land"):
        raise OSError(number, os.strerror(number), "x.parquet")
    assert "note_not_written file=failed_land.txt" in caplog.text


def test_another_error_of_the_system_stays_what_it_is(site):
    with pytest.raises(PermissionError), Staging(site, RUN.run_id).explaining("land"):
        raise PermissionError(errno.EACCES, "no")


def _full(number):
    def write_text(*_, **__):
        raise OSError(number, os.strerror(number))

    return write_text
