"""Reading the warehouse as of one moment, in limited batches of rows."""

import pytest
import sqlalchemy as sa

from scoring.warehouse.engine import snapshot, transaction
from scoring.warehouse.publish import promotions
from scoring.warehouse.queries import export
from tests.lib.staged import manifest


def test_snapshot_does_not_see_later_changes(warehouse):
    engine = warehouse.engine()
    promotions.register_model(engine, manifest())
    with snapshot(engine) as connection:
        assert export.moment(connection)["champion"] is None
        promotions.promote(engine, "test-1", "a steward", "first model")
        assert export.moment(connection)["champion"] is None
    with snapshot(engine) as connection:
        champion = export.moment(connection)["champion"]
    assert set(champion) == {"model_version", "trained_on_synthetic", "activated_at", "weights_sha256"}
    assert (champion["model_version"], champion["trained_on_synthetic"]) == ("test-1", True)


def test_snapshot_is_read_only_and_the_next_transaction_is_not(engine):
    statement = sa.text("UPDATE registry.radiograph SET body_part = 'x'")
    with pytest.raises(sa.exc.InternalError, match="read-only"), snapshot(engine) as connection:
        connection.execute(statement)
    with transaction(engine) as connection:
        connection.execute(statement)
        assert connection.get_isolation_level() == "READ COMMITTED"


def test_stream_fetches_rows_only_when_they_are_needed(engine):
    # 10^12 rows would neither fit nor end.
    with snapshot(engine) as connection:
        batches = export.stream(connection, "SELECT generate_series(1, 1000000000000)")
        assert [len(next(batches)) for _ in range(2)] == [export.BATCH_ROWS] * 2
        batches.close()


def test_stream_of_no_rows_yields_no_batch(engine):
    with snapshot(engine) as connection:
        assert list(export.stream(connection, "SELECT 1 WHERE FALSE")) == []
        assert list(export.joint_predictions(connection)) == []


def test_rau_predictions_name_their_radiographs(published):
    with snapshot(published) as connection:
        found = {row["patient_id"]: row["sop_iuids"] for row in export.rau_predictions(connection)}
    assert found == {"00123": ["1.2.3"], "00124": ["1.2.4"]}
