import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from scoring.clinical.joints import LEFT_HAND
from scoring.model_store.store import SHIPPED_DIR, SHIPPED_VERSION
from scoring.networks.readout import N_POINTS
from scoring.report import model_card, model_figures
from scoring.report.formatting import DASH
from scoring.report.measures import MEASURES
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.evaluate import evaluate_predictions
from tests.lib.html import HOSTILE, Document, assert_self_contained, draw_once

Facts = Mapping[str, Any]


@pytest.fixture(autouse=True)
def figures_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("confusion", "spread", "pit", "reliability", "learning_curves", "subgroup_forest")
    draw_once(monkeypatch, model_figures, *names)


@pytest.fixture(name="manifest", scope="module")
def shipped_manifest() -> Facts:
    found: Facts = json.loads((SHIPPED_DIR / SHIPPED_VERSION / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(name="evaluations", scope="module")
def made_evaluations() -> Mapping[str, Facts]:
    """Evaluations of 240 joints on 24 radiographs of 12 patients, with the readings of one reader."""
    rng = np.random.default_rng(8)
    n, radiograph = 240, np.arange(240) // 10
    truth = rng.choice([0, 0, 0, 8, 22, 35, 50, 70, 95], n).astype(np.float32)
    reading = np.clip(np.rint((truth + rng.normal(0, 4, n)) / 5) * 5, 0, 100).astype(np.float32)
    joints = JointSet(
        images=rng.integers(0, 256, (n, 4, 4), dtype=np.uint8),
        reading=reading,
        truth=truth,
        patient_id=np.array([f"{number // 2:05d}" for number in radiograph]),
        joint=np.array([LEFT_HAND[i % 10].column for i in range(n)]),
        sop_iuid=np.array([f"2.25.{number}" for number in radiograph]),
        year=2010 + radiograph % 2,
    )
    centre = truth + rng.normal(0, 5, n)
    cdf = (1 / (1 + np.exp(-(np.arange(N_POINTS) - centre[:, None]) / 3))).astype(np.float32)
    predictions = Predictions(cdf, engine="openvino float32")
    return {
        against: evaluate_predictions(predictions, joints, against=against).to_dict()
        for against in ("reading", "truth")
    }


@pytest.fixture(name="own", scope="module")
def site_manifest(manifest: Facts) -> Facts:
    """The manifest of a model that a site has trained on its own readings."""
    kept = {key: value for key, value in manifest.items() if key not in {"test_set", "notice"}}
    data = {key: manifest["data"][key] for key in ("training", "validation")}
    return {**kept, "trained_on_synthetic": False, "version": "site-1", "data": data}


@pytest.fixture(name="html")
def full_html(manifest: Facts, evaluations: Mapping[str, Facts]) -> str:
    return model_card.render_html(manifest, evaluations)


def card_texts(manifest: Facts, evaluations: Mapping[str, Facts]) -> tuple[str, str]:
    """The text of the HTML card, and the Markdown card without emphasis."""
    return (
        Document(model_card.render_html(manifest, evaluations)).text,
        model_card.render_markdown(manifest, evaluations).replace("*", ""),
    )


def test_render_html_is_self_contained(html: str) -> None:
    document = assert_self_contained(html)
    assert not list(document.all("img"))
    assert len([a for a in document.all("svg") if a.get("role") == "img" and a.get("aria-label")]) == 6


def test_render_html_gives_the_same_bytes_for_the_same_input(
    manifest: Facts, evaluations: Mapping[str, Facts], html: str
) -> None:
    assert model_card.render_html(manifest, evaluations) == html


def test_measures_describe_every_measure_of_an_evaluation(evaluations: Mapping[str, Facts]) -> None:
    """The card would silently leave out a measure without a description."""
    rau = {name for name in evaluations["reading"]["measures"] if name.startswith("rau_")}
    assert set(evaluations["reading"]["measures"]) == set(MEASURES) | rau
    assert len(rau) == 6


def test_card_shows_measures_with_their_intervals(html: str, manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    text = Document(html).text
    found = evaluations["reading"]
    for name in ("quadratic_weighted_kappa", "icc", "coverage_90"):
        value, (low, high) = found["measures"][name], found["patient_intervals"][name]
        assert f"{value:.3f} {low:.3f} to {high:.3f}".replace("0.", ".") in text, name
    markdown = model_card.render_markdown(manifest, evaluations)
    assert f"| quadratic weighted kappa | **{found['measures']['quadratic_weighted_kappa']:.3f}".replace("0.", ".") in (
        markdown
    )


def test_card_states_that_a_synthetic_model_is_not_for_patients(
    manifest: Facts, evaluations: Mapping[str, Facts]
) -> None:
    for text in card_texts(manifest, evaluations):
        assert "Not a medical device." in text
        assert "trained and evaluated on synthetic phantoms" in text
        assert "say nothing about patients" in text


def test_render_html_marks_every_table_and_figure_of_a_synthetic_model(html: str) -> None:
    captions = re.findall(r"<(?:fig)?caption>.*?</(?:fig)?caption>", html, re.DOTALL)
    assert len(captions) == 14
    for caption in captions:
        assert "Synthetic data." in caption or "BMJ" in caption or "Radiol" in caption, caption


def test_card_of_a_site_never_mentions_synthetic_data(own: Facts, evaluations: Mapping[str, Facts]) -> None:
    for text in card_texts(own, {"reading": evaluations["reading"]}):
        assert "ynthetic" not in text
        assert "hantom" not in text
        assert "Not a medical device." in text
        assert "another site" in text


def test_render_html_shows_the_rau_error_of_human_and_simulated_readers(
    html: str, evaluations: Mapping[str, Facts]
) -> None:
    text = Document(html).text
    assert "6.3 of 190 (3.3 %) on 38 joints" in text
    reader = evaluations["truth"]["reader"]["rau_of_grades_sdc"]
    assert re.search(rf"simulated reader sum of the read grades truth \S+ \S+ {reader:.1f} ", text)


def test_card_leaves_out_what_an_older_evaluation_lacks(manifest: Facts) -> None:
    """The first models were evaluated before most measures existed."""
    known = ("accuracy", "class_normalized_accuracy", "within_one_accuracy", "quadratic_weighted_kappa", "crps", "mae")
    found = manifest["metrics"]["reading"]
    few: Facts = {name: found[name] for name in ("against", "n", "n_patients", "recall", "recall_wilson", "confusion")}
    few |= {part: {name: found[part][name] for name in known} for part in ("measures", "always_0", "errorless_reader")}
    few |= {"patient_intervals": {name: found["patient_intervals"][name] for name in known[:4]}, "engine": "openvino"}
    few |= {"accuracy_wilson": found["accuracy_wilson"]}
    manifest = {**manifest, "metrics": {"reading": few}}
    document = Document(model_card.render_html(manifest, manifest["metrics"]))
    headings = [attributes["aria-labelledby"] for attributes in document.all("section")]
    assert "performance-title" in headings
    assert not {"rau-title", "calibration-title", "subgroups-title"} & set(headings)
    shown = [found["measures"][known[1]], *found["patient_intervals"][known[1]]]
    assert "{} {} to {}".format(*(f"{value:.3f}".removeprefix("0") for value in shown)) in document.text
    assert manifest["test_set"]["snapshot_sha256"][:12] in document.text
    assert "missing in the evaluation of this card" in document.text
    assert "## Calibration" not in model_card.render_markdown(manifest, manifest["metrics"])
    assert set(model_card.figure_files(manifest, manifest["metrics"])) == {"confusion.svg", "learning.svg"}


def test_card_shows_the_hash_of_the_test_set_only_with_its_own_evaluation(html: str, manifest: Facts) -> None:
    assert manifest["test_set"]["snapshot_sha256"][:12] not in html


@pytest.mark.parametrize("render", [model_card.render_html, model_card.render_markdown, model_card.figure_files])
def test_render_rejects_a_model_without_an_evaluation(manifest: Facts, render: Any) -> None:
    with pytest.raises(ValueError, match="needs an evaluation against readings"):
        render(manifest, {})


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        (None, "with borders at 1, 20, 40, 60, 80 %; the 90 % interval runs from the 5 % to the 95 % quantile."),
        (
            {"grade_by": "mean", "borders": [1.31, 18.64, 34.88, 56.3, 80], "interval_level": 0.7841},
            "with borders at 1.31, 18.6, 34.9, 56.3, 80 %; the 90 % interval is the central 78.4 % of",
        ),
        (
            {
                "grade_by": "weighted_median",
                "borders": [1, 20, 40, 60, 80],
                "interval_level": 0.9,
                "weights": [1, 1.42, 2.5, 3.71, 4, 3.3],
            },
            "by the weights 1, 1.42, 2.5, 3.71, 4, 3.3; the 90 %",
        ),
        (
            {"grade_by": "most_probable", "borders": [1, 20, 40, 60, 80], "interval_level": 0.9},
            "is the most probable one",
        ),
    ],
)
def test_card_explains_the_read_out_of_grade_and_interval(
    manifest: Facts, evaluations: Mapping[str, Facts], rule: Facts | None, statement: str
) -> None:
    others = {name: value for name, value in manifest.items() if name != "read_out"}
    for text in card_texts(others if rule is None else {**others, "read_out": rule}, evaluations):
        assert statement in text


def test_card_shows_all_other_facts_of_the_data(own: Facts, evaluations: Mapping[str, Facts]) -> None:
    """The facts are those that retraining writes."""
    facts = {"cut_off": "2026-11-21", "excluded": {"no_image": 3}, "snapshot_sha256": "ab" * 32}
    retrained = {**own, "started_from": "site-0", "data": {**own["data"], **facts}}
    html, markdown = card_texts(retrained, {"reading": evaluations["reading"]})
    assert f"cut off 2026-11-21 excluded no image 3 snapshot sha256 {'ab' * 32}" in html
    assert "| excluded | no image 3 |" in markdown
    assert "| Initial weights from | site-0 |" in markdown


def test_render_html_escapes_text_of_the_manifest(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    hostile = {**manifest, "version": HOSTILE, "data": {**manifest["data"], "card": HOSTILE}}
    html = model_card.render_html(hostile, evaluations)
    assert "<script>" not in html
    assert HOSTILE in Document(html).text


def test_card_shows_no_number_of_a_suppressed_group(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    found = deepcopy(dict(evaluations))
    row = next(row for row in found["reading"]["subgroups"] if row["by"] == "year")
    row.update(n=None, n_patients=None, measures={}, patient_intervals={})
    document = Document(model_card.render_html(manifest, found))
    assert f"2010 suppressed <5 {DASH} {DASH} {DASH} {DASH} {DASH}" in document.text
    assert "2010" not in re.findall(r">(\d{4})<", model_card.figure_files(manifest, found)["subgroups.svg"])


def test_render_html_leaves_out_a_subgroup_that_is_the_whole_set(html: str) -> None:
    assert "Side" not in Document(html).text


def test_figure_files_are_the_images_of_the_markdown_card(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    files = model_card.figure_files(manifest, evaluations)
    markdown = model_card.render_markdown(manifest, evaluations)
    assert set(re.findall(r"\(figures/([a-z]+\.svg)\)", markdown)) == set(files)
    for name, svg in files.items():
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert root.attrib["aria-label"]
        assert "var(" not in svg


def test_render_markdown_has_tables_with_equally_many_cells_per_row(
    manifest: Facts, evaluations: Mapping[str, Facts]
) -> None:
    width = 0
    for line in model_card.render_markdown(manifest, evaluations).splitlines():
        cells = line.count("|") if line.startswith("|") else 0
        assert cells == width or not cells or not width, line
        width = cells
