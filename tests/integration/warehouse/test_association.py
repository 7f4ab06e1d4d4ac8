"""Associations: as of a date, the same however often they are computed, and suppressed for few patients."""

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from scoring.analysis.association import associate
from scoring.phantom.longitudinal import Followed, simulate_followed
from scoring.pipeline import analytics
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import runs
from scoring.warehouse.publish.analytics import publish_association
from scoring.warehouse.queries.checksum import checksums
from tests.lib.scores import write_scores
from tests.lib.staged import BATCH, MODEL, NEXT_BATCH, RUN
from tests.lib.warehouse import frame

KEY = ["damage", "activity", "relation", "lag_window", "method", "stratum_kind", "stratum"]
FIGURES = ["estimate", "ci_low", "ci_high", "p_value", "q_value", "n_observations", "n_patients"]


@pytest.fixture(scope="module")
def followed() -> Followed:
    return simulate_followed(30, seed=8)


def deliver(engine, followed: Followed, batch, patients: slice) -> None:
    """Deliver some of the patients in one batch."""
    chosen = sorted(followed.radiographs["patient_id"].unique())[patients]
    radiographs, visits = (
        found[found["patient_id"].isin(chosen)].assign(visit_date=lambda of: of["visit_date"].dt.date)
        for found in (followed.radiographs, followed.visits)
    )
    rau = radiographs["predicted_rau"]
    scored = radiographs.assign(rau_expected=rau, rau_q05=rau.sub(5).clip(0), rau_q95=rau.add(5))
    write_scores(engine, scored, visits, batch, RUN)


def refresh(engine, as_of) -> None:
    with transaction(engine) as connection:
        runs.publish_lock(connection)
        analytics.publish_as_of(connection, as_of, MODEL, str(RUN), forecasts=False)


def table(engine, as_of) -> pd.DataFrame:
    query = f"SELECT * FROM analyst.association WHERE as_of = :as_of ORDER BY {', '.join(KEY)}"  # noqa: S608
    return frame(engine, query, as_of=as_of)


@pytest.mark.slow
def test_publish_as_of_is_repeatable_and_gives_the_result_of_an_earlier_date(engine, followed):
    deliver(engine, followed, BATCH, slice(0, 18))
    refresh(engine, BATCH)
    before = checksums(engine)
    on_that_date = table(engine, BATCH)
    refresh(engine, BATCH)
    assert checksums(engine) == before
    assert before["analytics.association"][0] == len(on_that_date) > 500

    deliver(engine, followed, NEXT_BATCH, slice(18, 30))
    refresh(engine, NEXT_BATCH)
    refresh(engine, BATCH)
    assert checksums(engine)["analytics.association"][0] > before["analytics.association"][0]
    pd.testing.assert_frame_equal(table(engine, BATCH), on_that_date)
    assert table(engine, NEXT_BATCH)["n_patients"].max() == 30


def test_publish_as_of_writes_the_associations_of_the_delivered_frames(engine, followed):
    deliver(engine, followed, BATCH, slice(0, 30))
    refresh(engine, BATCH)
    expected = associate(followed.radiographs, followed.visits).set_index(KEY)
    found = table(engine, BATCH).set_index(KEY).loc[expected.index]
    shown = found[~found["suppressed"]]
    for name in ("estimate", "ci_low", "ci_high", "q_value", "n_observations"):
        assert shown[name].to_numpy(dtype=float) == pytest.approx(
            expected.loc[shown.index, name].to_numpy(dtype=float), abs=1e-7, nan_ok=True
        )
    assert set(expected.loc[found.index[found["suppressed"]], "n_patients"]) <= {1, 2, 3, 4}


def test_association_view_suppresses_figures_of_fewer_than_5_patients(champion_warehouse, engine, followed):
    deliver(engine, followed, BATCH, slice(0, 4))
    refresh(engine, BATCH)
    seen = table(champion_warehouse.engine(champion_warehouse.analyst_url), BATCH)
    assert len(seen) > 0
    assert seen["suppressed"].all()
    assert seen[FIGURES].isna().all(axis=None)
    assert set(seen["unit"]) == {
        "correlation",
        "points per unit of DAS28",
        "points per unit of DAS28 and year",
        "points per year",
    }
    assert seen[["trained_on_synthetic", "is_champion"]].all(axis=None)


@pytest.fixture
def two_rows() -> pd.DataFrame:
    key = dict(zip(KEY, ("reported_rau", "das28_esr4", "level", "same_day", "pearson", "year", "2010"), strict=True))
    row = {**key, **dict(zip(FIGURES, (0.1, 0.0, 0.2, 0.05, np.nan, 20, 10), strict=True)), "confidence": 0.95}
    return pd.DataFrame([row, row | {"stratum": "2011"}])


def test_publish_association_empties_rows_that_are_no_longer_computed(engine, two_rows):
    with transaction(engine) as connection:
        assert publish_association(connection, BATCH, MODEL, RUN, two_rows) == UpsertCounts(new=2)
        fewer = two_rows[:1]
        assert publish_association(connection, BATCH, MODEL, RUN, fewer) == UpsertCounts(updated=1, unchanged=1)
        assert publish_association(connection, BATCH, MODEL, RUN, fewer) == UpsertCounts(unchanged=2)
    assert table(engine, BATCH)["stratum"].tolist() == ["2010"]
    assert checksums(engine)["analytics.association"][0] == 2


def test_association_table_rejects_impossible_rows(engine, two_rows):
    with transaction(engine) as connection:
        publish_association(connection, BATCH, MODEL, RUN, two_rows)
        for impossible in (
            "activity = 'time'",
            "estimate = 1.1",
            "ci_low = 0.3",
            "p_value = 2",
            "stratum = ''",
            "n_patients = 21",
        ):
            update = sa.text(f"UPDATE analytics.association SET {impossible} WHERE stratum = '2010'")  # noqa: S608
            with pytest.raises(sa.exc.IntegrityError, match="check"), connection.begin_nested():
                connection.execute(update)
