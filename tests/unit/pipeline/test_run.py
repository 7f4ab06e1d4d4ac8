import logging
from datetime import date

import pytest

from scoring.errors import InvalidRequest, ReconciliationFailed
from scoring.pipeline.run import Run, failure_recorded, require_run

RUN = Run("00000000-0000-0000-0000-000000000001", date(2026, 11, 21), "phantom-3", "grey128-v1")


def test_run_survives_an_xcom():
    assert Run.from_dict(RUN.to_dict()) == RUN
    assert require_run(RUN.to_dict()) == RUN


def test_require_run_rejects_a_run_that_was_never_opened():
    with pytest.raises(InvalidRequest, match="was not opened"):
        require_run(None)


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
    closed = []
    with failure_recorded(RUN, lambda **unfinished: closed.append(unfinished)):
        pass
    assert closed == []
