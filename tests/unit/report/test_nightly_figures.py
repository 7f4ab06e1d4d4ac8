import re
from datetime import date, timedelta
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.report import nightly_figures
from scoring.report.figure_style import DAMAGE_LABELS, MAX_POINTS, PALETTE, SMOOTHER_MIN_VISITS

BATCH = date(2026, 11, 21)


def grade_counts(batches: dict[int, list[int]]) -> pd.DataFrame:
    rows = [(BATCH - timedelta(days=k), grade, n) for k, counts in batches.items() for grade, n in enumerate(counts)]
    return pd.DataFrame(rows, columns=["batch_date", "predicted_grade", "n"])


def rau_points(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.concat(
        pd.DataFrame({"activity": form, "das28": rng.uniform(1, 7, n), "damage": damage, "rau": rng.uniform(0, 60, n)})
        for form in ("das28_crp3", "das28_esr4")
        for damage in DAMAGE_LABELS
    )


def correlation(methods: tuple[str, ...] = ("pearson", "spearman")) -> pd.DataFrame:
    rows = [
        (damage, activity, method, 0.1, 0.02, 0.18, 0.95, 300, 90)
        for damage in DAMAGE_LABELS
        for activity in ("das28_esr4", "patient_global")
        for method in methods
    ]
    columns = ["damage", "activity", "method", "estimate", "ci_low", "ci_high", "confidence", "n_visits", "n_patients"]
    return pd.DataFrame(rows, columns=columns)


def all_figures() -> list[str]:
    return [
        nightly_figures.grade_distribution(grade_counts({0: [67, 27, 3, 1, 0, 2], 1: [50, 20, 1, 1, 1, 0]}), BATCH),
        nightly_figures.rau_against_das28(rau_points(), "das28_esr4"),
        nightly_figures.rau_against_das28(rau_points(), "das28_crp3"),
        nightly_figures.correlation_forest(correlation()),
    ]


class Texts(HTMLParser):
    def __init__(self, svg: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(svg)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def test_svg_element_gives_the_same_bytes_each_time() -> None:
    assert all_figures() == all_figures()


def test_svg_element_loads_nothing_and_has_no_metadata() -> None:
    for svg in all_figures():
        assert "http" not in svg
        assert "<metadata" not in svg
        assert "<style" not in svg
        assert svg.startswith('<svg class="chart" viewBox=')
        assert svg.rstrip().endswith("</svg>")


def test_svg_element_has_unique_ids_in_one_document_and_a_target_for_every_reference() -> None:
    together = "".join(all_figures())
    ids = re.findall(r'\bid="([^"]+)"', together)
    assert len(ids) == len(set(ids))
    referenced = set(re.findall(r'(?:href="#|url\(#)([^")]+)', together))
    assert referenced
    assert referenced <= set(ids)


def test_svg_element_contains_text_as_text() -> None:
    texts = Texts(nightly_figures.correlation_forest(correlation())).texts
    assert {"DAS28-ESR, 4 variables", "Patient's global", "Spearman correlation with the Rau score"} <= set(texts)


def test_svg_element_has_only_colours_that_are_css_variables() -> None:
    css = resources.files("scoring.report").joinpath("templates/nightly.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    for variable, colour in PALETTE.items():
        assert f"--{variable}: {colour};" in light
        assert f"--{variable}: " in dark
    for svg in all_figures():
        without_variables = re.sub(r"var\(--[a-z]+,#[0-9a-f]{6}\)", "", svg)
        assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", without_variables)


def test_grade_shares_sum_to_one_and_leave_out_empty_batches() -> None:
    shares = nightly_figures.grade_shares(grade_counts({0: [3, 1], 1: [0, 0], 2: [0, 0, 0, 0, 0, 7]}))
    assert list(shares) == [BATCH - timedelta(days=2), BATCH]
    assert shares[BATCH].tolist() == [0.75, 0.25, 0, 0, 0, 0]
    assert shares[BATCH - timedelta(days=2)].tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("counts", [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 5], [10**6, 1, 1, 1, 1, 1]])
def test_grade_distribution_draws_extreme_batches(counts: list[int]) -> None:
    svg = nightly_figures.grade_distribution(grade_counts({0: counts}), BATCH)
    assert "0 earlier batches" in svg
    assert {"none", "100 %"} <= set(Texts(svg).texts)


def test_grade_distribution_has_the_numbers_in_its_alternative_text() -> None:
    svg = nightly_figures.grade_distribution(grade_counts({0: [67, 27, 3, 1, 0, 2]}), BATCH)
    assert 'aria-label="Share of Ratingen grades in this batch: grade 0 67 %, grade 1 27 %, grade 2 3.0 %' in svg


@given(st.integers(30, 120), st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 10**6))
def test_local_mean_reproduces_a_straight_line(n: int, slope: float, level: float, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(0, 8, n)
    grid, fitted = nightly_figures.local_mean(x, slope * x + level)
    np.testing.assert_allclose(fitted, slope * grid + level, atol=1e-6)


def test_local_mean_accepts_many_equal_values() -> None:
    x = np.array([2.0] * 80 + [2.1, 5.0])
    _, fitted = nightly_figures.local_mean(x, np.ones_like(x))
    np.testing.assert_allclose(fitted, 1.0, atol=1e-9)


def test_rau_against_das28_limits_the_marks_of_a_large_registry() -> None:
    svg = nightly_figures.rau_against_das28(rau_points(5 * MAX_POINTS), "das28_esr4")
    marks = re.findall(r'<use [^>]*y="[^"]+"/>', svg)
    assert 2 * MAX_POINTS <= len(marks) < 2.1 * MAX_POINTS


def test_rau_against_das28_draws_no_line_for_few_visits() -> None:
    few, enough = (
        nightly_figures.rau_against_das28(rau_points(n), "das28_esr4")
        for n in (SMOOTHER_MIN_VISITS - 1, SMOOTHER_MIN_VISITS)
    )
    assert few.count("stroke-width: 2.2") == 0
    assert enough.count("stroke-width: 2.2") == 2


@pytest.mark.parametrize(
    ("methods", "shown"),
    [(("pearson", "spearman", "kendall"), "spearman"), (("pearson", "kendall"), "kendall"), (("pearson",), "pearson")],
)
def test_forest_method_prefers_rank_correlations(methods: tuple[str, ...], shown: str) -> None:
    assert nightly_figures.forest_method(correlation(methods)) == shown


def test_correlation_forest_accepts_missing_intervals() -> None:
    frame = correlation()
    frame[["ci_low", "ci_high"]] = np.nan
    svg = nightly_figures.correlation_forest(frame)
    assert "(no interval)" in svg
    assert "nan" not in svg
