import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from scoring.report import nightly, nightly_figures
from scoring.report.nightly_data import COLUMNS, ModelFacts, NightlyReport, empty_frame
from tests.lib.html import HOSTILE, Document, assert_self_contained, draw_once

BATCH = date(2026, 11, 21)
STARTED = datetime(2026, 11, 22, 2, 0, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def figures_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_once(monkeypatch, nightly_figures, "grade_distribution", "rau_against_das28", "correlation_forest")


def frame(name: str, *rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS[name]))


def row_counts(*, received: int = 40, scored: int = 35, already_scored: int = 0, quarantined: int = 5) -> pd.DataFrame:
    gap = received - scored - already_scored - quarantined
    missing = (np.nan,) * 4
    return frame(
        "row_counts",
        ("consultations", 4, np.nan, np.nan, 3, 0, 1, 0, 0, 0, True),
        ("images", received, scored, already_scored, *missing, quarantined, gap, gap == 0),
    )


@pytest.fixture(name="full", scope="module")
def full_report() -> NightlyReport:
    rng = np.random.default_rng(3)
    grey = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    joints = frame(
        "severe_joints",
        ("1.2.3", "hand_left_1", 87.4, 61.2, 98.9, 5, grey),
        ("1.2.4", "foot_right_5", 55.0, 20, 80, 3, None),
    )
    rule = ("images.decodes", "images", "critical", 5, "The file cannot be decoded.", "Deliver it again.")
    return NightlyReport(
        batch_date=BATCH,
        run_id="6f1d2b44",
        status="succeeded",
        model=ModelFacts("2026.11.1", "0123456789abcdef" * 4, True, "grey128-v1", "openvino"),
        code_revision="a1b2c3",
        started_at=STARTED,
        finished_at=STARTED + timedelta(seconds=137),
        message="",
        synthetic_data=False,
        row_counts=row_counts(),
        late_files=frame("late_files", (date(2026, 11, 20), 3)),
        quarantine=frame("quarantine", (*rule, [f"2026-11-21/joints/{HOSTILE}.jpg", "b.jpg"])),
        warnings=frame("warnings", ("images.contrast", "images", "warning", 1, "Pale.", "Look at it.", ["c.jpg"])),
        grade_distribution=frame(
            "grade_distribution",
            *[(BATCH - timedelta(days=k), g, n) for k in range(3) for g, n in enumerate((24, 8, 1, 1, 0, 1))],
        ),
        rau_points=pd.concat(
            frame("rau_points").assign(
                das28=rng.uniform(1, 7, 50), rau=rng.uniform(0, 50, 50), activity="das28_esr4", damage=damage
            )
            for damage in ("reported_rau", "predicted_rau")
        ),
        correlation=frame(
            "correlation",
            ("reported_rau", "das28_esr4", "spearman", 0.16, 0.11, 0.21, 0.95, 2400, 811),
            ("reported_rau", "das28_esr4", "pearson", -0.04, -0.1, 0.02, 0.95, 2400, 811),
        ),
        severe_joints=joints,
        uncertain_joints=joints,
        data_docs="data_docs/index.html",
        psql="psql service=warehouse",
    )


def emptied(report: NightlyReport, *names: str) -> NightlyReport:
    return replace(report, **{name: empty_frame(name) for name in names})


def all_outcomes(full: NightlyReport) -> dict[str, NightlyReport]:
    unscored = emptied(full, "late_files", "severe_joints", "uncertain_joints", "grade_distribution", "warnings")
    early = replace(emptied(full, *COLUMNS), status="failed", message="No _SUCCESS.")
    nothing = row_counts(received=0, scored=0, quarantined=0).iloc[1:]
    return {
        "full": full,
        "empty": replace(emptied(unscored, "quarantine"), row_counts=nothing),
        "all quarantined": replace(unscored, row_counts=row_counts(scored=0, quarantined=40)),
        "failed early": early,
        "unreconciled": replace(full, status="failed", row_counts=row_counts(scored=33)),
        "no DAS28": emptied(full, "rau_points", "correlation"),
    }


@pytest.fixture(name="rendered")
def rendered_reports(full: NightlyReport) -> dict[str, str]:
    return {name: nightly.render_nightly_report(report) for name, report in all_outcomes(full).items()}


OUTCOMES = ["full", "empty", "all quarantined", "failed early", "unreconciled", "no DAS28"]


@pytest.mark.parametrize("name", OUTCOMES)
def test_render_nightly_report_is_well_formed_accessible_and_self_contained(
    rendered: dict[str, str], name: str
) -> None:
    document = assert_self_contained(rendered[name])
    assert rendered[name].startswith("<!DOCTYPE html>")
    assert next(document.all("html"))["lang"] == "en"
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    for _, attributes in document.elements:
        assert attributes.get("aria-labelledby", ids[0]) in ids
    assert all(attributes.get("alt") for attributes in document.all("img"))
    assert all(a.get("aria-label") for a in document.all("svg") if a.get("role") == "img")
    assert all(attributes.get("scope") for attributes in document.all("th"))
    assert len(list(document.all("table"))) == len(list(document.all("caption")))
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_render_nightly_report_gives_the_same_bytes_for_the_same_report(
    full: NightlyReport, rendered: dict[str, str]
) -> None:
    assert nightly.render_nightly_report(full) == rendered["full"]


def test_render_nightly_report_escapes_hostile_file_names(rendered: dict[str, str]) -> None:
    assert HOSTILE in Document(rendered["full"]).text


def test_render_nightly_report_never_shows_other_columns(full: NightlyReport, rendered: dict[str, str]) -> None:
    planted = {
        name: getattr(full, name).assign(patient_id="PATIENT-00123", patient_name="Mustermann") for name in COLUMNS
    }
    html = nightly.render_nightly_report(replace(full, **planted))
    assert "00123" not in html
    assert "Mustermann" not in html
    assert html == rendered["full"]


@pytest.mark.parametrize(
    ("name", "sentence", "tone"),
    [
        ("full", "Succeeded: 35 joints scored; 5 joint images quarantined; all row counts reconcile.", "good"),
        (
            "empty",
            "Succeeded: the batch folder was empty, so there was nothing to score; all row counts reconcile.",
            "wait",
        ),
        (
            "all quarantined",
            "Succeeded: no joint scored, all 40 joint images quarantined; all row counts reconcile.",
            "wait",
        ),
        ("failed early", "Failed: the run stopped before it counted any rows, and published nothing.", "bad"),
        (
            "unreconciled",
            (
                "Failed: 33 joints scored; 5 joint images quarantined; row counts do not reconcile "
                "(2 joint images unaccounted for)."
            ),
            "bad",
        ),
    ],
)
def test_headline_states_the_outcome(
    full: NightlyReport, rendered: dict[str, str], name: str, sentence: str, tone: str
) -> None:
    report = all_outcomes(full)[name]
    assert nightly.headline(report) == sentence
    assert nightly.tone(report) == tone
    assert sentence in Document(rendered[name]).text


def test_headline_sums_the_quarantined_rows_of_all_datasets(full: NightlyReport) -> None:
    both = row_counts()
    both.loc[both["dataset"] == "consultations", ["new", "quarantined"]] = [2, 1]
    sentence = nightly.headline(replace(full, row_counts=both))
    assert "; 6 rows quarantined (5 joint images and 1 consultation);" in sentence


def test_headline_names_joints_scored_by_an_earlier_run(full: NightlyReport) -> None:
    again = replace(full, row_counts=row_counts(scored=0, already_scored=35))
    assert "no new joint scored, 35 scored by an earlier run" in nightly.headline(again)


def test_headline_names_a_batch_without_images(full: NightlyReport) -> None:
    report = replace(full, row_counts=row_counts(received=0, scored=0, quarantined=0))
    assert nightly.headline(report) == (
        "Succeeded: no joint image received; nothing quarantined; all row counts reconcile."
    )


def test_headline_names_outcomes_without_a_received_row(full: NightlyReport) -> None:
    report = replace(full, row_counts=row_counts(scored=36))
    assert "(1 joint image too many)" in nightly.headline(report)
    assert "✗ 1 too many" in Document(nightly.render_nightly_report(report)).text


@pytest.mark.parametrize(
    ("name", "statements", "charts"),
    [
        ("empty", ["contained no rows and no images", "There was nothing to check.", "no distribution to show"], 2),
        ("all quarantined", ["What to do: Deliver it again.", "No joint of this batch was scored."], 2),
        ("failed early", ["No _SUCCESS.", "The run recorded no row counts"], 0),
        ("no DAS28", ["No visit has both a Rau score and a DAS28"], 1),
    ],
)
def test_render_nightly_report_states_missing_results_instead_of_drawing_them(
    rendered: dict[str, str], name: str, statements: list[str], charts: int
) -> None:
    document = Document(rendered[name])
    for statement in statements:
        assert statement in document.text
    assert sum(attributes.get("role") == "img" for attributes in document.all("svg")) == charts


def test_render_nightly_report_marks_every_figure_of_a_synthetic_model(full: NightlyReport) -> None:
    document = Document(nightly.render_nightly_report(full))
    assert "Not for clinical use." in document.text
    # Grades, one scatter plot, forest plot, severe joints, uncertain joints.
    assert document.text.count("Model trained on synthetic phantoms.") == 5
    own = Document(nightly.render_nightly_report(replace(full, model=replace(full.model, trained_on_synthetic=False))))
    assert "ynthetic" not in own.text
    assert "Not for clinical use." not in own.text


def test_render_nightly_report_marks_synthetic_records(full: NightlyReport) -> None:
    document = Document(nightly.render_nightly_report(replace(full, synthetic_data=True)))
    assert "Synthetic data, not for clinical use." in document.text
    assert document.text.count("Synthetic data.") == 5


def test_render_nightly_report_shows_correlations_with_interval_and_both_counts(rendered: dict[str, str]) -> None:
    text = Document(rendered["full"]).text
    assert "0.16 (0.11 to 0.21)" in text
    assert "\N{MINUS SIGN}0.04 (\N{MINUS SIGN}0.10 to 0.02)" in text
    assert "2,400 811" in text
    assert "DAS28-ESR, 4 variables. Visits: 50 reported by readers and 50 predicted." in text
    assert ".15 with DAS28-ESR and .08 with three-variable DAS28-CRP. These values come from another population" in text


def test_render_nightly_report_names_joints_as_clinicians_do(rendered: dict[str, str]) -> None:
    document = Document(rendered["full"])
    assert "left PIP5" in document.text
    assert "right great toe IP" in document.text
    assert "image not available" in document.text
    assert next(document.all("img"))["alt"] == (
        "Radiograph of the left PIP5, predicted Ratingen grade 5, 87 percent eroded"
    )


def test_render_nightly_report_shows_five_examples_and_the_number_of_others(full: NightlyReport) -> None:
    many = full.quarantine.assign(n=1200, examples=[[f"row-{i}" for i in range(9)]])
    text = Document(nightly.render_nightly_report(replace(full, quarantine=many))).text
    assert "row-4" in text
    assert "row-5" not in text
    assert "and 1,195 more" in text


@pytest.mark.parametrize("link", ["https://docs.example/x", "s3://bucket/x", "javascript:alert(1)", "//host/x"])
def test_render_nightly_report_shows_a_link_to_another_host_as_text(full: NightlyReport, link: str) -> None:
    document = Document(nightly.render_nightly_report(replace(full, data_docs=link)))
    assert link in document.text
    assert link not in {attributes["href"] for attributes in document.all("a")}


def test_render_nightly_report_accepts_batch_dates_as_timestamps(full: NightlyReport, rendered: dict[str, str]) -> None:
    stamps = full.grade_distribution.assign(batch_date=pd.to_datetime(full.grade_distribution["batch_date"]))
    assert nightly.render_nightly_report(replace(full, grade_distribution=stamps)) == rendered["full"]


def test_render_nightly_report_leaves_out_a_das28_form_without_a_rau_score(
    full: NightlyReport, rendered: dict[str, str]
) -> None:
    without = full.rau_points.assign(activity="das28_crp3", rau=np.nan)
    report = replace(full, rau_points=pd.concat([full.rau_points, without]))
    assert nightly.render_nightly_report(report) == rendered["full"]


def test_nightly_report_rejects_a_frame_without_a_column(full: NightlyReport) -> None:
    with pytest.raises(ValueError, match=r"NightlyReport\.row_counts lacks the columns reconciled\."):
        replace(full, row_counts=full.row_counts.drop(columns="reconciled"))


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_stylesheet_has_the_contrast_of_wcag_aa(scheme: str) -> None:
    css = resources.files("scoring.report").joinpath("templates/nightly.css").read_text(encoding="utf-8")
    part = css.split("@media screen and (prefers-color-scheme: dark)")[scheme == "dark"]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part.split("* {")[0]))
    pairs = [(text, back) for text in ("ink", "muted", "link", "wait") for back in ("page", "card")]
    pairs += [(tone, f"{tone}-back") for tone in ("good", "bad", "wait")] + [("good", "card"), ("bad", "card")]
    for text, back in pairs:
        assert contrast(colours[text], colours[back]) >= 4.5, (text, back)
    for mark in ("reported", "predicted"):
        assert contrast(colours[mark], colours["card"]) >= 3, mark
