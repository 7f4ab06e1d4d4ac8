from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import pytest

from scoring.report import progression_figures
from scoring.report.analytics import AnalyticsReport, render_analytics
from tests.lib.html import Document, assert_self_contained, draw_once

DAY = date(2026, 11, 21)
FIGURES = ("rau_and_das28", "correlation_over_time", "progression_waterfall", "patient_timeline")
DAMAGES = ("reported_rau", "predicted_rau")
MARKS = ("Synthetic data", "Model trained on synthetic phantoms")


@pytest.fixture(autouse=True)
def figures_drawn_once(monkeypatch):
    draw_once(monkeypatch, progression_figures, *FIGURES)


def points(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.concat(
        pd.DataFrame(
            {"activity": "das28_esr4", "das28": rng.uniform(1, 7, n), "damage": damage, "rau": rng.gamma(1, 12, n)}
        )
        for damage in DAMAGES
    )


def correlation() -> pd.DataFrame:
    rows = [
        (date(2026, 11, day), damage, "das28_esr4", "spearman", 0.1 + day / 100, 0.0, 0.3, 40)
        for day, damage in product((19, 20, 21), DAMAGES)
    ]
    columns = ["as_of", "damage", "activity", "method", "estimate", "ci_low", "ci_high", "n_patients"]
    return pd.DataFrame(rows, columns=columns)


def changes() -> pd.DataFrame:
    # Three of ten pairs rise by more than 6.3 points, and one falls by more.
    values = [-9.0, -3.0, -1.0, 0.0, 0.0, 1.0, 2.0, 7.0, 8.0, 40.0]
    return pd.DataFrame({"damage": "reported_rau", "change": values})


def report(**changed: object) -> AnalyticsReport:
    visits = [date(2020 + year, 5, 1) for year in range(4)]
    scores = pd.DataFrame(
        {"visit_date": visits, "reported_rau": [10.0, 12, np.nan, 20], "rau_expected": [11.0, 12, 15, np.nan],
         "rau_q05": [8.0, 9, 11, np.nan], "rau_q95": [15.0, 16, 20, np.nan]}
    )  # fmt: skip
    activity = pd.DataFrame(
        {"visit_date": visits, "das28_esr4": [5.5, 3.1, 2.2, np.nan], "das28_esr3": np.nan, "das28_crp4": np.nan,
         "das28_crp3": [5.0, 3.0, np.nan, 2.4]}
    )  # fmt: skip
    forecast = pd.DataFrame(
        [("reported_rau", date(2024, 5, 1), 22.0, 15.0, 30.0), ("predicted_rau", date(2023, 5, 1), 16.0, 11.0, 24.0)],
        columns=["damage", "forecast_date", "rau_expected", "rau_q05", "rau_q95"],
    )
    given: dict[str, object] = {
        "written_on": DAY, "model_version": "phantom-3", "trained_on_synthetic": False, "synthetic_data": False,
        "points": points(), "correlation": correlation(), "changes": changes(), "patient_id": "00042",
        "scores": scores, "activity": activity, "forecast": forecast,
    }  # fmt: skip
    return AnalyticsReport(**{**given, **changed})


def test_render_analytics_contains_every_figure_and_is_self_contained():
    html, files = render_analytics(report())
    assert list(files) == [
        "scatter-reported-rau-das28-esr4.svg",
        "scatter-predicted-rau-das28-esr4.svg",
        "correlation-das28-esr4.svg",
        "progression.svg",
        "timeline.svg",
    ]
    assert html.count('<svg class="chart"') == len(files)
    assert_self_contained(html)
    assert all(text.startswith("<svg xmlns=") for text in files.values())


def test_render_analytics_marks_every_figure_of_synthetic_data():
    html, files = render_analytics(report(synthetic_data=True))
    assert all("Synthetic data" in text for text in files.values())
    assert "not for clinical use" in html
    assert html.count("Synthetic data.") >= len(files)


def test_render_analytics_marks_predictions_of_a_synthetic_model_but_not_readings():
    html, files = render_analytics(report(trained_on_synthetic=True))
    marked = {name for name, text in files.items() if MARKS[1] in text}
    assert marked == {"scatter-predicted-rau-das28-esr4.svg", "correlation-das28-esr4.svg", "timeline.svg"}
    assert "Not for clinical use" in html
    unmarked, _ = render_analytics(report())
    assert not any(mark in unmarked for mark in MARKS)


def test_render_analytics_counts_changes_beyond_the_smallest_detectable_change():
    html, files = render_analytics(report())
    assert "reported by readers 30 % above, 10 % below" in files["progression.svg"]
    assert "reported by readers 10 0.5 30 % 10 %" in Document(html).text


def test_render_analytics_does_not_draw_a_suppressed_correlation():
    suppressed = correlation().assign(estimate=None, ci_low=None, ci_high=None, n_patients=None)
    html, files = render_analytics(report(correlation=suppressed))
    assert "correlation-das28-esr4.svg" not in files
    assert "no correlation from five or more patients" in html


def test_render_analytics_states_the_missing_results_of_an_empty_warehouse():
    empty = {name: getattr(report(), name).head(0) for name in
             ("points", "correlation", "changes", "scores", "activity", "forecast")}  # fmt: skip
    html, files = render_analytics(report(model_version="", patient_id="", **empty))
    assert files == {}
    for statement in (
        "No visit has both",
        "There is no correlation",
        "No patient has two radiographs",
        "No patient has a Rau score",
        "none yet",
    ):
        assert statement in html


def test_progression_figures_give_the_same_bytes_each_time(monkeypatch):
    once = render_analytics(report())
    monkeypatch.undo()
    assert render_analytics(report()) == once


@pytest.mark.parametrize("n", [1, 2, 40])
def test_rau_and_das28_draws_few_and_equal_points(n):
    same = pd.DataFrame({"activity": "das28_esr4", "das28": 3.0, "damage": "reported_rau", "rau": [0.0] * n})
    assert f"{n} visits" in progression_figures.rau_and_das28(same, "das28_esr4", "reported_rau", "")


def test_patient_timeline_draws_a_patient_without_activity_or_forecast():
    alone = report(activity=report().activity.head(0), forecast=report().forecast.head(0))
    assert "DAS28 at 0 visits" in render_analytics(alone)[1]["timeline.svg"]
