"""The page of analytics and its figures: what they show, what they say of their data, and what they leave out."""

import re
from datetime import date
from itertools import product

import numpy as np
import pandas as pd
import pytest

from scoring.report import progression_figures
from scoring.report.analytics import AnalyticsReport, render_analytics

DAY = date(2026, 11, 21)
DAMAGES = ("reported_rau", "predicted_rau")
MARKS = ("Synthetic data", "Model trained on synthetic phantoms")


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
    # Of ten pairs, three rise beyond 6.3 points and one falls beyond it.
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


def test_the_page_holds_every_figure_and_stands_alone():
    page, files = render_analytics(report())
    assert list(files) == [
        "scatter-reported-rau-das28-esr4.svg",
        "scatter-predicted-rau-das28-esr4.svg",
        "correlation-das28-esr4.svg",
        "progression.svg",
        "timeline.svg",
    ]
    assert page.count('<svg class="chart"') == len(files)
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert all(text.startswith("<svg xmlns=") for text in files.values())
    assert render_analytics(report()) == (page, files)


def test_every_figure_says_that_its_data_are_synthetic():
    page, files = render_analytics(report(synthetic_data=True))
    assert all("Synthetic data" in text for text in files.values())
    assert "not for clinical use" in page
    assert page.count("Synthetic data.") >= len(files)


def test_what_a_model_of_phantoms_predicted_is_marked_and_what_readers_wrote_is_not():
    page, files = render_analytics(report(trained_on_synthetic=True))
    marked = {name for name, text in files.items() if MARKS[1] in text}
    assert marked == {"scatter-predicted-rau-das28-esr4.svg", "correlation-das28-esr4.svg", "timeline.svg"}
    assert "Not for clinical use" in page
    unmarked, _ = render_analytics(report())
    assert not any(mark in unmarked for mark in MARKS)


def test_progression_counts_what_is_beyond_the_smallest_detectable_change():
    page, files = render_analytics(report())
    assert "reported by readers 30 % above, 10 % below" in files["progression.svg"]
    row = re.search(r"<tr><th scope=\"row\">reported by readers</th>(.*?)</tr>", page)
    assert re.findall(r"<td>(.*?)</td>", row[1]) == ["10", "0.5", "30 %", "10 %"]


def test_a_correlation_of_few_patients_is_not_drawn():
    suppressed = correlation().assign(estimate=None, ci_low=None, ci_high=None, n_patients=None)
    page, files = render_analytics(report(correlation=suppressed))
    assert "correlation-das28-esr4.svg" not in files
    assert "No correlation of five patients or more" in page


def test_an_empty_warehouse_has_a_page_that_says_so():
    empty = {name: getattr(report(), name).head(0) for name in
             ("points", "correlation", "changes", "scores", "activity", "forecast")}  # fmt: skip
    page, files = render_analytics(report(model_version="", patient_id="", **empty))
    assert files == {}
    for said in (
        "No visit has both",
        "No correlation",
        "No patient has two radiographs",
        "No patient has a Rau score",
        "no model yet",
    ):
        assert said in page


@pytest.mark.parametrize("n", [1, 2, 40])
def test_few_and_equal_points_are_drawn(n):
    same = pd.DataFrame({"activity": "das28_esr4", "das28": 3.0, "damage": "reported_rau", "rau": [0.0] * n})
    assert f"{n} visits" in progression_figures.rau_and_das28(same, "das28_esr4", "reported_rau", "")


def test_a_patient_without_activity_or_forecast_is_drawn():
    alone = report(activity=report().activity.head(0), forecast=report().forecast.head(0))
    assert "DAS28 at 0 visits" in render_analytics(alone)[1]["timeline.svg"]
