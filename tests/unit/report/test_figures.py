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

NIGHT = date(2026, 11, 21)


def grade_counts(nights: dict[int, list[int]]) -> pd.DataFrame:
    rows = [(NIGHT - timedelta(days=k), grade, n) for k, counts in nights.items() for grade, n in enumerate(counts)]
    return pd.DataFrame(rows, columns=["batch_date", "predicted_grade", "n"])


def rau_points(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.concat(
        pd.DataFrame({"activity": form, "das28": rng.uniform(1, 7, n), "damage": damage, "rau": rng.uniform(0, 60, n)})
        for form in ("das28_crp3", "das28_esr4")
        for damage in nightly_figures.DAMAGE_LABELS
    )


def correlation(methods: tuple[str, ...] = ("pearson", "spearman")) -> pd.DataFrame:
    rows = [
        (damage, activity, method, 0.1, 0.02, 0.18, 0.95, 300, 90)
        for damage in nightly_figures.DAMAGE_LABELS
        for activity in ("das28_esr4", "patient_global")
        for method in methods
    ]
    columns = ["damage", "activity", "method", "estimate", "ci_low", "ci_high", "confidence", "n_visits", "n_patients"]
    return pd.DataFrame(rows, columns=columns)


def all_figures() -> list[str]:
    return [
        nightly_figures.grade_distribution(grade_counts({0: [67, 27, 3, 1, 0, 2], 1: [50, 20, 1, 1, 1, 0]}), NIGHT),
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


def test_figures_are_the_same_bytes_each_time() -> None:
    assert all_figures() == all_figures()


def test_figures_load_nothing_and_carry_no_metadata() -> None:
    for svg in all_figures():
        assert "http" not in svg
        assert "<metadata" not in svg
        assert "<style" not in svg
        assert svg.startswith('<svg class="chart" viewBox=')
        assert svg.rstrip().endswith("</svg>")


def test_ids_do_not_collide_on_one_page_and_every_reference_has_its_target() -> None:
    together = "".join(all_figures())
    ids = re.findall(r'\bid="([^"]+)"', together)
    assert len(ids) == len(set(ids))
    referenced = set(re.findall(r'(?:href="#|url\(#)([^")]+)', together))
    assert referenced
    assert referenced <= set(ids)


def test_text_is_text() -> None:
    texts = Texts(nightly_figures.correlation_forest(correlation())).texts
    assert {"DAS28-ESR, 4 variables", "Patient's global", "Spearman correlation with the Rau score"} <= set(texts)


def test_every_colour_is_a_variable_of_the_page() -> None:
    css = resources.files("scoring.report").joinpath("templates/night.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    for variable, colour in nightly_figures.PALETTE.items():
        assert f"--{variable}: {colour};" in light
        assert f"--{variable}: " in dark
    for svg in all_figures():
        naked = re.sub(r"var\(--[a-z]+,#[0-9a-f]{6}\)", "", svg)
        assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", naked)


def test_shares_of_a_night_sum_to_one_and_empty_nights_are_left_out() -> None:
    shares = nightly_figures.grade_shares(grade_counts({0: [3, 1], 1: [0, 0], 2: [0, 0, 0, 0, 0, 7]}))
    assert list(shares) == [NIGHT - timedelta(days=2), NIGHT]
    assert shares[NIGHT].tolist() == [0.75, 0.25, 0, 0, 0, 0]
    assert shares[NIGHT - timedelta(days=2)].tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("counts", [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 5], [10**6, 1, 1, 1, 1, 1]])
def test_grade_distribution_of_extreme_nights(counts: list[int]) -> None:
    svg = nightly_figures.grade_distribution(grade_counts({0: counts}), NIGHT)
    assert "0 earlier nights" in svg
    assert {"none", "100 %"} <= set(Texts(svg).texts)


def test_alternative_text_tells_the_numbers() -> None:
    svg = nightly_figures.grade_distribution(grade_counts({0: [67, 27, 3, 1, 0, 2]}), NIGHT)
    assert 'aria-label="Share of Ratingen grades tonight: grade 0 67 %, grade 1 27 %, grade 2 3.0 %' in svg


@given(st.integers(30, 120), st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 10**6))
def test_local_mean_returns_a_straight_line_as_it_is(n: int, slope: float, level: float, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(0, 8, n)
    grid, fitted = nightly_figures.local_mean(x, slope * x + level)
    np.testing.assert_allclose(fitted, slope * grid + level, atol=1e-6)


def test_local_mean_stands_many_equal_values() -> None:
    x = np.array([2.0] * 80 + [2.1, 5.0])
    _, fitted = nightly_figures.local_mean(x, np.ones_like(x))
    np.testing.assert_allclose(fitted, 1.0, atol=1e-9)


def test_scatter_thins_the_marks_of_a_large_registry() -> None:
    svg = nightly_figures.rau_against_das28(rau_points(5 * nightly_figures.MAX_POINTS), "das28_esr4")
    marks = re.findall(r'<use [^>]*y="[^"]+"/>', svg)
    assert 2 * nightly_figures.MAX_POINTS <= len(marks) < 2.1 * nightly_figures.MAX_POINTS


def test_a_few_visits_get_marks_but_no_line() -> None:
    few, enough = (
        nightly_figures.rau_against_das28(rau_points(n), "das28_esr4")
        for n in (nightly_figures.SMOOTHER_MIN_VISITS - 1, nightly_figures.SMOOTHER_MIN_VISITS)
    )
    assert few.count("stroke-width: 2.2") == 0
    assert enough.count("stroke-width: 2.2") == 2


def test_forms_in_use_skip_what_has_no_pair() -> None:
    points = rau_points(3)
    points.loc[points["activity"] == "das28_esr4", "rau"] = np.nan
    assert nightly_figures.das28_forms_in_use(points) == ["das28_crp3"]


@pytest.mark.parametrize(
    ("methods", "shown"),
    [(("pearson", "spearman", "kendall"), "spearman"), (("pearson", "kendall"), "kendall"), (("pearson",), "pearson")],
)
def test_forest_prefers_ranks(methods: tuple[str, ...], shown: str) -> None:
    assert nightly_figures.forest_method(correlation(methods)) == shown


def test_forest_stands_missing_intervals() -> None:
    frame = correlation()
    frame[["ci_low", "ci_high"]] = np.nan
    svg = nightly_figures.correlation_forest(frame)
    assert "(no interval)" in svg
    assert "nan" not in svg
