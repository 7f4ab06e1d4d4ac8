"""Associations in the warehouse: as of a date, once however often they are computed, and not about a few patients."""

from datetime import date
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from scoring.pipeline.analyse import publish_as_of
from sqlalchemy.engine import Engine

from scoring.phantom.longitudinal import Followed, simulate_followed
from scoring.warehouse.bulk import UpsertCounts, upsert
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import association, correlation, promotions, runs

FIRST, SECOND = date(2026, 11, 20), date(2026, 11, 21)
MODEL = "test-1"
PREPROCESSING = "grey128-v1"
FORMS = ("das28_esr4", "das28_esr3", "das28_crp4", "das28_crp3")


def run_of(night: date) -> UUID:
    return UUID(int=night.toordinal())


@pytest.fixture
def engine(warehouse) -> Engine:
    engine = warehouse.engine()
    promotions.register_model(
        engine,
        {
            "version": MODEL,
            "architecture": "cdf-regressor",
            "input_side": 128,
            "preprocessing_version": PREPROCESSING,
            "files": {"weights.npz": {"sha256": "a" * 64}},
            "trained_on_synthetic": True,
            "metrics": {},
        },
    )
    promotions.promote(engine, MODEL, "a steward", "first model")
    for night in (FIRST, SECOND):
        runs.open_run(
            engine, run_of(night), night, trigger="cli", triggered_by="t", code_revision="abc", model_version=MODEL
        )
    return engine


@pytest.fixture(scope="module")
def followed() -> Followed:
    return simulate_followed(30, seed=8)


def deliver(engine: Engine, followed: Followed, night: date, patients: slice) -> None:
    """Write some patients' radiographs, readings, Rau scores and visits, as the night's publishing does."""
    chosen = sorted(followed.radiographs["patient_id"].unique())[patients]
    landed = {"batch_date": night, "first_batch_date": night, "run_id": str(run_of(night))}
    radiographs = followed.radiographs[followed.radiographs["patient_id"].isin(chosen)].assign(**landed)
    radiographs = radiographs.assign(
        sop_iuid=radiographs["patient_id"] + "." + radiographs["visit_date"].dt.strftime("%Y%m%d")
    )
    radiographs = radiographs.assign(
        visit_date=radiographs["visit_date"].dt.date, id_x=radiographs["sop_iuid"], source_file="x", row_number=2
    )
    visits = followed.visits[followed.visits["patient_id"].isin(chosen)].assign(**landed, source_file="x", row_number=2)
    visits = visits.assign(visit_date=visits["visit_date"].dt.date)
    rau = radiographs.assign(
        model_version=MODEL,
        preprocessing_version=PREPROCESSING,
        **dict.fromkeys(("rau_expected", "rau_median", "rau_from_grades"), radiographs["predicted_rau"]),
        rau_q05=radiographs["predicted_rau"].sub(5).clip(0),
        rau_q95=radiographs["predicted_rau"].add(5),
    )
    key = ("patient_id", "visit_date")
    provenance = ("batch_date", "first_batch_date", "run_id")
    with transaction(engine) as connection:
        upsert(connection, "registry.radiograph", radiographs, key=("sop_iuid",), payload=key, provenance=provenance)
        upsert(
            connection,
            "registry.consultation",
            radiographs,
            key=("id_x",),
            payload=(*key, "sop_iuid", "reported_rau"),
            provenance=(*provenance, "source_file", "row_number"),
        )
        upsert(
            connection,
            "registry.disease_activity",
            visits,
            key=key,
            payload=FORMS,
            provenance=(*provenance, "source_file", "row_number"),
        )
        for scope, named in (("radiograph", rau["sop_iuid"]), ("visit", "")):
            upsert(
                connection,
                "scoring.rau_prediction",
                rau.assign(scope=scope, sop_iuid=named),
                key=("scope", *key, "sop_iuid", "model_version", "preprocessing_version"),
                payload=("rau_expected", "rau_median", "rau_from_grades", "rau_q05", "rau_q95", "n_scored"),
                provenance=provenance,
            )


def refresh(engine: Engine, as_of: date) -> None:
    with transaction(engine) as connection:
        runs.publish_lock(connection)
        publish_as_of(connection, as_of, MODEL, str(run_of(SECOND)))


def table(engine: Engine, as_of: date) -> pd.DataFrame:
    with transaction(engine) as connection:
        return pd.read_sql_query(
            sa.text("SELECT * FROM analyst.association WHERE as_of = :as_of ORDER BY 2, 3, 4, 5, 6, 7, 8"),
            connection,
            params={"as_of": as_of},
        )


def test_a_night_twice_changes_nothing_and_a_date_filled_in_later_is_what_it_would_have_been(engine, followed):
    deliver(engine, followed, FIRST, slice(0, 18))
    refresh(engine, FIRST)
    before = correlation.digest(engine)
    on_the_day = table(engine, FIRST)
    refresh(engine, FIRST)
    assert correlation.digest(engine) == before
    assert before["analytics.association"][0] == len(on_the_day) > 500

    deliver(engine, followed, SECOND, slice(18, 30))
    refresh(engine, SECOND)
    refresh(engine, FIRST)
    assert correlation.digest(engine)["analytics.association"][0] > before["analytics.association"][0]
    pd.testing.assert_frame_equal(table(engine, FIRST), on_the_day)
    assert table(engine, SECOND)["n_patients"].max() == 30


def test_what_was_computed_is_what_the_frames_say(engine, followed):
    from scoring.analysis.association import associate

    deliver(engine, followed, FIRST, slice(0, 30))
    refresh(engine, FIRST)
    key = ["damage", "activity", "relation", "lag_window", "method", "stratum_kind", "stratum"]
    expected = associate(followed.radiographs, followed.visits).set_index(key)
    found = table(engine, FIRST).set_index(key).loc[expected.index]
    shown = found[~found["suppressed"]]
    for name in ("estimate", "ci_low", "ci_high", "q_value", "n_observations"):
        assert shown[name].to_numpy(dtype=float) == pytest.approx(
            expected.loc[shown.index, name].to_numpy(dtype=float), abs=1e-7, nan_ok=True
        )
    assert set(expected.loc[found.index[found["suppressed"]], "n_patients"]) <= {1, 2, 3, 4}


def test_an_analyst_sees_no_figure_of_fewer_than_five_patients(engine, warehouse, followed):
    deliver(engine, followed, FIRST, slice(0, 4))
    refresh(engine, FIRST)
    seen = table(warehouse.engine(warehouse.analyst_url), FIRST)
    assert len(seen) > 0
    assert seen["suppressed"].all()
    figures = ["estimate", "ci_low", "ci_high", "p_value", "q_value", "n_observations", "n_patients"]
    assert seen[figures].isna().all(axis=None)
    assert set(seen["unit"]) == {
        "correlation",
        "points per unit of DAS28",
        "points per unit of DAS28 and year",
        "points per year",
    }
    assert seen["trained_on_synthetic"].all()
    assert seen["is_champion"].all()


def test_rows_that_no_longer_arise_are_emptied_not_deleted(engine):
    row = {
        "damage": "reported_rau",
        "activity": "das28_esr4",
        "relation": "level",
        "lag_window": "same_day",
        "method": "pearson",
        "stratum_kind": "year",
        "stratum": "2010",
        "estimate": 0.1,
        "ci_low": 0.0,
        "ci_high": 0.2,
        "confidence": 0.95,
        "p_value": 0.05,
        "q_value": np.nan,
        "n_observations": 20,
        "n_patients": 10,
    }
    both = pd.DataFrame([row, row | {"stratum": "2011"}])
    with transaction(engine) as connection:
        publish = association.publish_association
        assert publish(connection, FIRST, MODEL, run_of(FIRST), both) == UpsertCounts(new=2)
        assert publish(connection, FIRST, MODEL, run_of(FIRST), both[:1]) == UpsertCounts(updated=1, unchanged=1)
        assert publish(connection, FIRST, MODEL, run_of(FIRST), both[:1]) == UpsertCounts(unchanged=2)
    assert table(engine, FIRST)["stratum"].tolist() == ["2010"]
    assert correlation.digest(engine)["analytics.association"][0] == 2


def test_bad_states_are_impossible(engine):
    test_rows_that_no_longer_arise_are_emptied_not_deleted(engine)
    for wrong in (
        "activity = 'time'",
        "estimate = 1.1",
        "ci_low = 0.3",
        "p_value = 2",
        "stratum = ''",
        "n_patients = 21",
    ):
        update = sa.text(f"UPDATE analytics.association SET {wrong} WHERE stratum = '2010'")  # noqa: S608 - of this list
        with pytest.raises(sa.exc.IntegrityError, match="check"), transaction(engine) as connection:
            connection.execute(update)
