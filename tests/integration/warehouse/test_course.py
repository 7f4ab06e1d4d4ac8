"""Forecasts on a real PostgreSQL: as of a date, written once, withdrawn when their series is gone, drawn from views."""

from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from scoring.analysis import progression as growth
from scoring.commands import analytics_report
from scoring.errors import InvalidRequest
from scoring.pipeline import course
from scoring.settings import Settings, sql_dir
from scoring.warehouse.bulk import upsert
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import correlation, promotions, runs

RUN = UUID(int=1)
NIGHT = date(2026, 11, 21)
NEXT_NIGHT = NIGHT + timedelta(days=1)
MODEL = "test-1"
MANIFEST = {
    "version": MODEL,
    "architecture": "cdf-regressor",
    "input_side": 128,
    "preprocessing_version": "grey128-v1",
    "files": {"weights.npz": {"sha256": "a" * 64}},
    "trained_on_synthetic": True,
}


@pytest.fixture(autouse=True)
def one_scale(monkeypatch):
    monkeypatch.setattr(growth, "SHIFTS", (16.0,))


@pytest.fixture
def engine(warehouse):
    engine = warehouse.engine()
    promotions.register_model(engine, MANIFEST)
    promotions.promote(engine, MODEL, "a steward", "first model")
    runs.open_run(
        engine, RUN, NIGHT, trigger="cli", triggered_by="tester", code_revision="abc", model_version=MODEL
    )  # fmt: skip
    return engine


def radiographs(n_patients: int, years: range, seed: int = 1) -> pd.DataFrame:
    """One radiograph a patient and year; whoever is severe progresses. The same seed and patient, the same line."""
    rng = np.random.default_rng(seed)
    severity = rng.lognormal(2, 0.8, n_patients)
    return pd.DataFrame(
        [
            {
                "sop_iuid": f"1.2.{patient}.{year}",
                "patient_id": f"{patient:05d}",
                "visit_date": date(2016 + year, 3, 1),
                "rau": float(np.clip(severity[patient] * (1 + 0.1 * year) + rng.normal(0, 1.5), 0, 190)),
            }
            for patient in range(n_patients)
            for year in years
        ]
    )


def deliver(connection, delivered: pd.DataFrame, night: date) -> None:
    """Radiographs with a reported and a predicted score and DAS28, as a night leaves them."""
    rows = delivered.assign(
        batch_date=night, first_batch_date=night, run_id=str(RUN), source_file="consultations.csv",
        id_x=delivered["sop_iuid"], reported_rau=delivered["rau"], row_number=range(2, len(delivered) + 2),
        model_version=MODEL, preprocessing_version="grey128-v1",
        rau_expected=delivered["rau"] * 0.95, rau_median=delivered["rau"] * 0.95, rau_from_grades=delivered["rau"],
        rau_q05=delivered["rau"] * 0.9, rau_q95=delivered["rau"] * 0.96 + 2, n_scored=10,
        das28_esr_reported=3.0 + np.arange(len(delivered)) % 5 * 0.5, esr=20.0,
    )  # fmt: skip
    seen = ("batch_date", "first_batch_date", "run_id")
    scores = ("rau_expected", "rau_median", "rau_q05", "rau_q95", "rau_from_grades", "n_scored")
    upsert(
        connection, "registry.radiograph", rows, key=("sop_iuid",), payload=("patient_id", "visit_date"),
        provenance=seen,
    )  # fmt: skip
    upsert(
        connection, "registry.consultation", rows, key=("id_x",),
        payload=("patient_id", "visit_date", "sop_iuid", "reported_rau"),
        provenance=(*seen, "source_file", "row_number"),
    )  # fmt: skip
    upsert(
        connection, "registry.disease_activity", rows, key=("patient_id", "visit_date"),
        payload=("das28_esr_reported",), provenance=(*seen, "source_file", "row_number"),
    )  # fmt: skip
    for scope in ("radiograph", "visit"):
        scored = rows.assign(scope=scope) if scope == "radiograph" else rows.assign(scope=scope, sop_iuid="")
        upsert(
            connection, "scoring.rau_prediction", scored,
            key=("scope", "patient_id", "visit_date", "sop_iuid", "model_version", "preprocessing_version"),
            payload=scores, provenance=seen,
        )  # fmt: skip


def publish(engine, as_of: date = NIGHT) -> int:
    with transaction(engine) as connection:
        return course.publish_as_of(connection, as_of, MODEL, str(RUN))


def read(engine, query: str, **values: object) -> pd.DataFrame:
    with transaction(engine) as connection:
        return pd.read_sql_query(sa.text(query), connection, params=values)


def shown(engine, as_of: date = NIGHT) -> pd.DataFrame:
    return read(
        engine, "SELECT * FROM analyst.rau_forecast WHERE as_of = :as_of ORDER BY damage, patient_id", as_of=as_of
    )


def test_every_patient_has_a_forecast_of_each_series(warehouse, engine):
    delivered = radiographs(40, range(4))
    with transaction(engine) as connection:
        deliver(connection, delivered, NIGHT)
    assert publish(engine) == 80

    found = shown(warehouse.engine(warehouse.analyst_url))
    assert found.groupby("damage").size().to_dict() == {"predicted_rau": 40, "reported_rau": 40}
    assert (found["last_visit"] == date(2019, 3, 1)).all()
    assert (found["forecast_date"] == date(2020, 3, 1)).all()
    assert found["overdue"].all(), "the folder is of 2026"
    assert found["is_newest"].all()
    assert found["is_champion"].all()
    assert found["trained_on_synthetic"].all()
    reported, predicted = (found[found["damage"] == damage] for damage in ("reported_rau", "predicted_rau"))
    assert predicted["extrapolated"].all()
    assert reported["n_scored"].isna().all()
    assert reported["extrapolated"].isna().all()
    # What is written is what the model says of these radiographs.
    expected = growth.forecast(
        growth.fit(delivered.assign(rau_sd=None, n_scored=None)), delivered.assign(rau_sd=None, n_scored=None)
    )
    assert reported["rau_q95"].to_numpy() == pytest.approx(expected["rau_q95"].to_numpy(), abs=1e-5)
    assert reported["p_beyond_sdc"].to_numpy() == pytest.approx(expected["p_beyond_sdc"].to_numpy(), abs=1e-5)

    # The worked query gives them, who most probably progresses first.
    worked = read(
        warehouse.engine(warehouse.analyst_url), (sql_dir() / "queries" / "rau_forecast.sql").read_text()
    )  # fmt: skip
    assert len(worked) == 80
    assert worked["p_beyond_sdc"].is_monotonic_decreasing


def test_a_second_look_changes_no_row(engine):
    with transaction(engine) as connection:
        deliver(connection, radiographs(35, range(3)), NIGHT)
    publish(engine)
    before = correlation.digest(engine)["analytics.rau_forecast"]
    assert before[0] == 70
    publish(engine)
    assert correlation.digest(engine)["analytics.rau_forecast"] == before


def test_a_backfilled_day_gives_what_that_day_would_have_given(engine):
    early, late = radiographs(35, range(3)), radiographs(35, range(3, 4), seed=2)
    with transaction(engine) as connection:
        deliver(connection, early, NIGHT)
    publish(engine)
    then = shown(engine).drop(columns=["computed_at", "is_newest"])

    with transaction(engine) as connection:
        deliver(connection, late, NEXT_NIGHT)
    assert publish(engine, NEXT_NIGHT) == 70
    publish(engine)

    pd.testing.assert_frame_equal(shown(engine).drop(columns=["computed_at", "is_newest"]), then)
    newest = shown(engine, NEXT_NIGHT)
    assert (newest["n_visits"] == 4).all()
    assert newest["is_newest"].all()
    assert not shown(engine)["is_newest"].any()


def test_too_few_patients_have_no_forecast_and_the_log_says_so(engine, caplog):
    with transaction(engine) as connection:
        deliver(connection, radiographs(29, range(3)), NIGHT)
    with caplog.at_level("INFO", logger="scoring.pipeline.course"):
        assert publish(engine) == 0
    assert read(engine, "SELECT count(*) AS n FROM analytics.rau_forecast")["n"].item() == 0
    assert "29 patients have two or more radiographs" in caplog.text
    assert publish(engine, NIGHT - timedelta(days=1)) == 0, "an empty warehouse"


def test_the_back_test_of_a_warehouse_has_both_series(warehouse, engine, tmp_path):
    from scoring.warehouse import connect

    settings = Settings(
        var_dir=tmp_path / "var", warehouse_url=warehouse.job_url, code_revision="test", _env_file=None
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match="0 patients have two or more radiographs"):
        course.back_test(settings, None)
    with transaction(engine) as connection:
        deliver(connection, radiographs(80, range(4)), NIGHT)
    tables = course.back_test(settings, NIGHT)
    connect._engine.cache_clear()
    assert [title.split(":")[0] for title, _ in tables[::2]] == [
        "Rau reported by readers",
        "predicted Rau (model trained on synthetic phantoms)",
    ]
    figures_of_readers, differences = tables[0][1], tables[1][1]
    assert [row["method"] for row in figures_of_readers] == [
        "last value",
        "linear trend",
        "mixed model",
        "progression model",
    ]
    assert all(0.7 < row["coverage"] <= 1 for row in figures_of_readers)
    # The radiographs grow by a tenth of the patient's severity a year, which the last value cannot know.
    (mae,) = [row for row in differences if (row["against"], row["measure"]) == ("last value", "mae")]
    assert mae["high"] < 0


def test_a_forecast_whose_series_is_gone_is_withdrawn_and_comes_back(engine):
    delivered = radiographs(36, range(3))
    with transaction(engine) as connection:
        deliver(connection, delivered, NIGHT)
    publish(engine)
    move = sa.text("UPDATE registry.radiograph SET patient_id = :to WHERE patient_id = :of")
    with transaction(engine) as connection:
        connection.execute(move, {"of": "00007", "to": "moved"})
    publish(engine)
    gone = shown(engine)
    # A radiograph takes its consultations along, and with them the reported scores.
    assert "00007" not in set(gone["patient_id"])
    kept = read(engine, "SELECT withdrawn FROM analytics.rau_forecast WHERE patient_id = '00007' ORDER BY damage")
    assert list(kept["withdrawn"]) == [True, True]

    with transaction(engine) as connection:
        connection.execute(move, {"of": "moved", "to": "00007"})
    publish(engine)
    assert len(shown(engine)) == 72


def test_the_page_of_analytics_is_drawn_from_the_views(warehouse, engine, tmp_path):
    with transaction(engine) as connection:
        deliver(connection, radiographs(40, range(4)), NIGHT)
        from scoring.pipeline import analyse

        analyse.publish_as_of(connection, NIGHT, MODEL, str(RUN))
    publish(engine)
    # As an analyst's login: what is not in the views could not be drawn.
    settings = Settings(
        var_dir=tmp_path / "var", warehouse_url=warehouse.analyst_url, code_revision="test", _env_file=None
    )
    with pytest.MonkeyPatch.context() as patch:
        # An analyst may not read the migrations' own records.
        patch.setattr("scoring.warehouse.migrate.check_current", lambda _: None)
        written = analytics_report.write(settings, NIGHT, None)
    from scoring.warehouse import connect

    connect._engine.cache_clear()
    assert [path.rsplit("/", 1)[-1] for path in written] == [
        "analytics.html",
        "scatter-reported-rau-das28-esr4.svg",
        "scatter-predicted-rau-das28-esr4.svg",
        "correlation-das28-esr4.svg",
        "progression.svg",
        "timeline.svg",
    ]
    page = (tmp_path / "var/reports/analytics/analytics.html").read_text()
    assert page.count('<svg class="chart"') == 5
    assert "trained on synthetic phantoms" in page
    for path in written[1:]:
        text = Path(path).read_text()
        # Readers' scores are of the registry; what the model had a hand in says so in the figure itself.
        assert ("Model trained on synthetic phantoms" in text) == ("reported" not in path)
