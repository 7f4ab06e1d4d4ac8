"""Values that a newer batch replaces are recorded as corrections, from which earlier dates are reconstructed."""

from datetime import date

import numpy as np
import pytest
from sqlalchemy.engine import Engine

from scoring.clinical import das28
from scoring.warehouse.engine import transaction
from scoring.warehouse.queries import analysis
from scoring.warehouse.queries.checksum import checksums
from tests.lib.staged import BATCH, MODEL, activity, consultation, publish_records, reading
from tests.lib.warehouse import rows

CORRECTIONS = (
    "SELECT dataset, record_id, value_name, old_value, new_value, old_batch_date, new_batch_date"
    " FROM analyst.correction ORDER BY correction_id, value_name"
)


def deliver(engine: Engine, batch: date, esr: float, rau: float, percent: float = 10.0, **measures: float) -> None:
    """Publish the same records in a batch of another day, with other values."""
    consulted = consultation("1", batch=batch, rau=rau)
    read = [reading(consulted, "hand_left_1", percent)]
    publish_records(engine, [consulted], read, [activity(batch=batch, esr=esr, **measures)])


def test_correction_records_values_that_a_newer_batch_replaces(engine):
    first, again, second, third = (date(2026, 11, day) for day in (1, 2, 3, 4))
    deliver(engine, first, 10.0, 12.0, 10.0)
    deliver(engine, again, 10.0, 12.0, 10.0)
    assert rows(engine, CORRECTIONS) == []
    deliver(engine, second, 20.0, 12.0, 30.0)
    deliver(engine, third, 20.0, 14.0, 30.0)
    assert rows(engine, CORRECTIONS) == [
        ("joint_reading", "1 hand_left_1", "reading_grade", "1", "2", again, second),
        ("joint_reading", "1 hand_left_1", "reading_percent", "10", "30", again, second),
        ("disease_activity", "p 2020-01-01", "esr", "10", "20", again, second),
        ("consultation", "1", "reported_rau", "12", "14", second, third),
    ]
    # Neither the same batch nor an older one corrects anything.
    before = checksums(engine)
    deliver(engine, third, 20.0, 14.0, 30.0)
    deliver(engine, first, 10.0, 12.0, 10.0)
    assert checksums(engine) == before


@pytest.mark.parametrize(("day", "esr"), [(1, 10.0), (2, 10.0), (3, 20.0), (4, None), (5, None)])
def test_disease_activity_as_of_has_the_values_of_that_date(engine, day, esr):
    deliver(engine, date(2026, 11, 1), 10.0, 12.0)
    deliver(engine, date(2026, 11, 3), 20.0, 12.0)
    deliver(engine, date(2026, 11, 4), np.nan, 12.0)
    query = "SELECT esr FROM registry.disease_activity_as_of(:as_of)"
    assert rows(engine, query, as_of=date(2026, 11, day)) == [(esr,)]


@pytest.mark.parametrize(("day", "esr", "rau"), [(1, 10.0, 12.0), (2, 10.0, 12.0), (3, 20.0, 12.0), (5, 20.0, 14.0)])
def test_visits_for_correlation_have_the_values_of_that_date(engine, day, esr, rau):
    measures = {"tender_28": 4, "swollen_28": 2, "global_patient_estimate_disease_activity": 40}
    for batch, values in {1: (10.0, 12.0), 3: (20.0, 12.0), 4: (20.0, 14.0)}.items():
        deliver(engine, date(2026, 11, batch), *values, **measures)
    with transaction(engine) as connection:
        found = analysis.visits_for_correlation(connection, date(2026, 11, day), MODEL)
    assert found[["reported_rau", "das28_esr4"]].to_numpy().tolist() == [
        [rau, pytest.approx(float(das28.das28_esr(4, 2, esr, 40)))]
    ]


def test_radiographs_and_series_lack_a_score_before_the_batch_that_added_it(engine):
    for batch, rau in {1: np.nan, 3: 40.0}.items():
        deliver(engine, date(2026, 11, batch), 10.0, rau)
    with transaction(engine) as connection:
        for day, found in {1: [], 2: [], 3: [40.0]}.items():
            as_of = date(2026, 11, day)
            assert list(analysis.radiographs_as_of(connection, as_of, MODEL)["reported_rau"]) == found
            assert list(analysis.series(connection, as_of, MODEL)["rau"]) == found


def test_visits_for_correlation_count_two_consultations_of_a_visit_once(published):
    with transaction(published) as connection:
        visits = analysis.visits_for_correlation(connection, BATCH, MODEL)
        assert analysis.visits_for_correlation(connection, date(2026, 11, 20), MODEL).empty
    assert list(visits["patient_id"]) == ["00123", "00124"]
    assert visits["reported_rau"].iloc[0] == 12.0, "the later reading"
    assert visits["predicted_rau"].tolist() == [76.0, 38.0]
    assert visits["das28_esr4"].tolist() == [4.2, pytest.approx(das28.das28_esr(9, 4, 20, 50))]
    assert np.isnan(visits["das28_crp4"]).all()
