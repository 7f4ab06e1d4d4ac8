"""Everything that goes wrong with a night's data: the books balance, and the night says what was wrong."""

from datetime import date

import pytest

from scoring.phantom.batches import write_batches
from scoring.phantom.faults import FAULTS
from scoring.pipeline import nightly
from scoring.warehouse.publish import correlation
from scoring.warehouse.queries import nightly_report, runs

NIGHT = date(2026, 11, 21)
PATIENTS = 8


def land_faulty_night(site, *faults):
    (summary,) = write_batches(
        site.landing_url, seed=3, first_batch=NIGHT, batches=1, n_patients=PATIENTS, faults=faults
    )
    return summary


def books_of(engine, run_id):
    return nightly_report.night_books(engine, run_id).set_index("dataset")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_what_it_must_and_nothing_else(site, warehouse, fault):
    (effect,) = land_faulty_night(site, fault).effects
    engine = warehouse.engine()
    if effect.error:
        with pytest.raises(effect.error):
            nightly.run_batch(site, NIGHT, triggered_by="tester")
        run_id, _ = runs.last_closed_run(engine, NIGHT)
        books = books_of(engine, run_id)
        assert set(books["status"]) == {"failed"}
        assert {rows for rows, _ in correlation.digest(engine).values()} == {0}
        return

    counts = nightly.run_batch(site, NIGHT, triggered_by="tester")

    books = books_of(engine, counts["run_id"])
    assert books["balanced"].all()
    assert set(books["status"]) == {"succeeded"}
    quarantined = books["quarantined"][books["quarantined"] > 0].to_dict()
    assert quarantined == effect.quarantined
    refused = nightly_report.quarantine_of_run(engine, counts["run_id"])
    assert refused.loc[~refused["kept"], ["reason", "remedy"]].map(bool).all(axis=None)
    if effect.rule:
        assert effect.rule in set(refused["rule"])
