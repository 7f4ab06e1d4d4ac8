"""Forecasts: as of a date, written once, withdrawn without their series, and drawn from the views."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scoring.analysis import progression
from scoring.commands import analytics_report, backtest
from scoring.errors import InvalidRequest
from scoring.pipeline import analytics
from scoring.settings import Settings, sql_dir
from scoring.warehouse import connect
from scoring.warehouse.engine import transaction
from scoring.warehouse.queries.checksum import checksums
from tests.lib.scores import write_scores
from tests.lib.staged import BATCH, MODEL, NEXT_BATCH, RUN
from tests.lib.warehouse import frame, rows


@pytest.fixture(autouse=True)
def one_scale(monkeypatch):
    """Fit one candidate of the progression model only."""
    monkeypatch.setattr(progression, "SHIFTS", (16.0,))


@pytest.fixture
def settings_of(tmp_path):
    def settings_of(url: str) -> Settings:
        return Settings(var_dir=tmp_path / "var", warehouse_url=url, code_revision="test", _env_file=None)

    yield settings_of
    connect._engine.cache_clear()


def radiographs(n_patients: int, years: range, seed: int = 1) -> pd.DataFrame:
    """Return one radiograph per patient and year; severe patients progress, and a seed keeps a patient's line."""
    rng = np.random.default_rng(seed)
    severity = rng.lognormal(2, 0.8, n_patients)
    return pd.DataFrame(
        [
            {
                "patient_id": f"{patient:05d}",
                "visit_date": date(2016 + year, 3, 1),
                "rau": float(np.clip(severity[patient] * (1 + 0.1 * year) + rng.normal(0, 1.5), 0, 190)),
            }
            for patient in range(n_patients)
            for year in years
        ]
    )


def deliver(engine, delivered: pd.DataFrame, batch: date = BATCH) -> None:
    rau = delivered["rau"]
    scored = delivered.assign(
        reported_rau=rau, rau_expected=rau * 0.95, rau_q05=rau * 0.9, rau_q95=rau * 0.96 + 2, n_scored=10
    )
    das28 = 3.0 + np.arange(len(delivered)) % 5 * 0.5
    write_scores(engine, scored, delivered[["patient_id", "visit_date"]].assign(das28_esr_reported=das28), batch, RUN)


def publish(engine, as_of: date = BATCH) -> int:
    with transaction(engine) as connection:
        return analytics.publish_forecasts(connection, as_of, MODEL, str(RUN))


def forecasts(engine, as_of: date = BATCH) -> pd.DataFrame:
    query = "SELECT * FROM analyst.rau_forecast WHERE as_of = :as_of ORDER BY damage, patient_id"
    return frame(engine, query, as_of=as_of)


def test_publish_forecasts_forecasts_both_series_of_every_patient(champion_warehouse, engine):
    delivered = radiographs(40, range(4))
    deliver(engine, delivered)
    assert publish(engine) == 80

    analyst = champion_warehouse.engine(champion_warehouse.analyst_url)
    found = forecasts(analyst)
    assert found.groupby("damage").size().to_dict() == {"predicted_rau": 40, "reported_rau": 40}
    assert (found["last_visit"] == date(2019, 3, 1)).all()
    assert (found["forecast_date"] == date(2020, 3, 1)).all()
    assert found["overdue"].all(), "the batch is of 2026"
    assert found[["is_newest", "is_champion", "trained_on_synthetic"]].all(axis=None)
    reported, predicted = (found[found["damage"] == damage] for damage in ("reported_rau", "predicted_rau"))
    assert predicted["extrapolated"].all()
    assert reported[["n_scored", "extrapolated"]].isna().all(axis=None)
    series = delivered.assign(rau_sd=None, n_scored=None)
    expected = progression.forecast(progression.fit(series), series)
    for name in ("rau_q95", "p_beyond_sdc"):
        assert reported[name].to_numpy() == pytest.approx(expected[name].to_numpy(), abs=1e-5)

    # The example query sorts by the probability of progression.
    example = frame(analyst, (sql_dir() / "queries" / "rau_forecast.sql").read_text())
    assert len(example) == 80
    assert example["p_beyond_sdc"].is_monotonic_decreasing


def test_publish_forecasts_again_changes_no_row(engine):
    deliver(engine, radiographs(35, range(3)))
    publish(engine)
    before = checksums(engine)["analytics.rau_forecast"]
    assert before[0] == 70
    publish(engine)
    assert checksums(engine)["analytics.rau_forecast"] == before


def test_publish_forecasts_of_an_earlier_date_gives_the_result_of_that_date(engine):
    shown = ["computed_at", "is_newest"]
    deliver(engine, radiographs(35, range(3)))
    publish(engine)
    on_that_date = forecasts(engine).drop(columns=shown)

    deliver(engine, radiographs(35, range(3, 4), seed=2), NEXT_BATCH)
    assert publish(engine, NEXT_BATCH) == 70
    publish(engine)

    pd.testing.assert_frame_equal(forecasts(engine).drop(columns=shown), on_that_date)
    newest = forecasts(engine, NEXT_BATCH)
    assert (newest["n_visits"] == 4).all()
    assert newest["is_newest"].all()
    assert not forecasts(engine)["is_newest"].any()


def test_publish_forecasts_logs_that_there_are_too_few_patients(engine, caplog):
    deliver(engine, radiographs(29, range(3)))
    with caplog.at_level("INFO", logger="scoring.pipeline.analytics"):
        assert publish(engine) == 0
    assert rows(engine, "SELECT count(*) FROM analytics.rau_forecast") == [(0,)]
    assert "no_forecast as_of=2026-11-21 damage=reported_rau" in caplog.text
    assert "29 patients" in caplog.text
    assert publish(engine, BATCH - timedelta(days=1)) == 0, "no records as of this date"


def test_publish_forecasts_withdraws_a_forecast_without_its_series_and_restores_it(engine):
    deliver(engine, radiographs(36, range(3)))
    publish(engine)
    move = "UPDATE registry.radiograph SET patient_id = '{}' WHERE patient_id = '{}' RETURNING 1"
    # The consultations of a radiograph follow it, and with them the reported scores.
    rows(engine, move.format("moved", "00007"))
    publish(engine)
    assert "00007" not in set(forecasts(engine)["patient_id"])
    withdrawn = "SELECT withdrawn FROM analytics.rau_forecast WHERE patient_id = '00007' ORDER BY damage"
    assert rows(engine, withdrawn) == [(True,), (True,)]

    rows(engine, move.format("00007", "moved"))
    publish(engine)
    assert len(forecasts(engine)) == 72


def test_back_test_reports_both_series_of_a_warehouse(champion_warehouse, engine, settings_of):
    settings = settings_of(champion_warehouse.job_url)
    with pytest.raises(InvalidRequest, match="0 patients"):
        backtest.back_test(settings, None)
    deliver(engine, radiographs(80, range(4)))
    tables = backtest.back_test(settings, BATCH)
    assert [table.title.split(":")[0] for table in tables[::2]] == [
        "Rau reported by readers",
        "predicted Rau (model trained on synthetic phantoms)",
    ]
    of_readers, differences = tables[0].rows, tables[1].rows
    methods = ["last value", "linear trend", "mixed model", "progression model"]
    assert [row["method"] for row in of_readers] == methods
    assert all(0.7 < row["coverage"] <= 1 for row in of_readers)
    # The scores rise by a tenth of the patient's severity per year, which the last value does not reflect.
    (mae,) = [row for row in differences if (row["against"], row["measure"]) == ("last value", "mae")]
    assert mae["high"] < 0


def test_analytics_report_needs_only_the_views(champion_warehouse, engine, settings_of, monkeypatch, tmp_path):
    deliver(engine, radiographs(40, range(4)))
    with transaction(engine) as connection:
        analytics.publish_as_of(connection, BATCH, MODEL, str(RUN), forecasts=True)
    # An analyst may not read the records of migrations.
    monkeypatch.setattr("scoring.warehouse.migrate.check_current", lambda _: None)
    written = analytics_report.write(settings_of(champion_warehouse.analyst_url), BATCH, None)
    assert [path.rsplit("/", 1)[-1] for path in written] == [
        "analytics.html",
        "scatter-reported-rau-das28-esr4.svg",
        "scatter-predicted-rau-das28-esr4.svg",
        "correlation-das28-esr4.svg",
        "progression.svg",
        "timeline.svg",
    ]
    html = (tmp_path / "var/reports/analytics/analytics.html").read_text()
    assert html.count('<svg class="chart"') == 5
    assert "trained on synthetic phantoms" in html
    for path in written[1:]:
        # Reported scores come from the registry; figures with predicted ones are marked as synthetic.
        marked = "Model trained on synthetic phantoms" in Path(path).read_text()
        assert marked == ("reported" not in path)
