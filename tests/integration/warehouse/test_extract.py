"""Reading the warehouse as of one moment, batch by batch."""

import pytest
import sqlalchemy as sa

from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import promotions
from scoring.warehouse.queries import export

MANIFEST = {
    "version": "test-1",
    "architecture": "cdf-regressor",
    "input_side": 128,
    "preprocessing_version": "grey128-v1",
    "files": {"weights.npz": {"sha256": "a" * 64}},
    "trained_on_synthetic": True,
}


def test_a_snapshot_does_not_see_what_is_written_meanwhile(warehouse):
    engine = warehouse.engine()
    promotions.register_model(engine, MANIFEST)
    with export.snapshot(engine) as connection:
        assert export.moment(connection)["champion"] is None
        promotions.promote(engine, "test-1", "a steward", "first model")
        assert export.moment(connection)["champion"] is None
    with export.snapshot(engine) as connection:
        champion = export.moment(connection)["champion"]
    assert champion["model_version"] == "test-1"
    assert champion["trained_on_synthetic"] is True


def test_a_snapshot_writes_nothing_and_the_next_transaction_may(warehouse):
    engine = warehouse.engine()
    statement = sa.text("UPDATE registry.radiograph SET body_part = 'x'")
    with pytest.raises(sa.exc.InternalError, match="read-only"), export.snapshot(engine) as connection:
        connection.execute(statement)
    with transaction(engine) as connection:
        connection.execute(statement)
        assert connection.get_isolation_level() == "READ COMMITTED"


def test_rows_come_in_batches_and_are_not_fetched_before_they_are_asked_for(warehouse):
    # 10^12 rows would neither fit nor end.
    with export.snapshot(warehouse.engine()) as connection:
        batches = export.stream(connection, "SELECT generate_series(1, 1000000000000)")
        assert [len(next(batches)) for _ in range(2)] == [export.BATCH_ROWS] * 2
        batches.close()


def test_no_rows_are_no_batch(warehouse):
    with export.snapshot(warehouse.engine()) as connection:
        assert list(export.stream(connection, "SELECT 1 WHERE FALSE")) == []
        assert list(export.joint_predictions(connection)) == []
