import logging
from datetime import date

import pytest

from scoring.errors import InvalidRequest, ReconciliationFailed
from scoring.pipeline.run import (
    Run,
    Shard,
    failure_recorded,
    require_run,
    shard_progress,
    shards_of,
    storage_unavailable,
)
from scoring.settings import Settings

RUN = Run("00000000-0000-0000-0000-000000000001", date(2026, 11, 21), "phantom-3", "grey128-v1")


def test_run_survives_an_xcom():
    assert Run.from_dict(RUN.to_dict()) == RUN
    assert require_run(RUN.to_dict()) == RUN


def test_require_run_rejects_a_run_that_was_never_opened():
    with pytest.raises(InvalidRequest, match="never opened"):
        require_run(None)


@pytest.mark.parametrize(
    ("n_images", "size", "shards"), [(0, 5, []), (5, 5, [Shard(0, 5)]), (11, 5, [Shard(0, 5), Shard(5, 5), Shard(10, 1)])]
)
def test_shards_of_divides_images(n_images, size, shards):
    assert shards_of(n_images, size) == shards


def test_shard_progress_counts_over_all_shards():
    seen = []
    shard_progress(lambda *call: seen.append(call), Shard(5, 5), 11)("scoring joints", 3, None)
    assert seen == [("scoring joints", 8, 11)]


@pytest.mark.parametrize(
    ("n_rejected", "n_planned", "expected"), [(6, 20, True), (5, 20, False), (19, 19, False), (20, 20, True)]
)
def test_storage_unavailable_needs_many_missing_images(tmp_path, n_rejected, n_planned, expected):
    settings = Settings(_env_file=None, var_dir=tmp_path, max_bad_share=0.25)
    assert storage_unavailable(settings, n_rejected, n_planned) is expected


def test_failure_recorded_closes_the_run_and_raises_the_first_error(caplog):
    caplog.set_level(logging.INFO)
    closed = []

    def close(*, unfinished):
        closed.append(unfinished)
        raise ReconciliationFailed("The run failed.")

    with pytest.raises(ValueError, match="first"), failure_recorded(RUN, close):
        raise ValueError("first")
    assert len(closed) == 1
    assert "run_failed run_id=00000000-0000-0000-0000-000000000001 message=The run failed." in caplog.text


def test_failure_recorded_leaves_a_successful_run_open():
    with failure_recorded(RUN, close=None):
        pass
