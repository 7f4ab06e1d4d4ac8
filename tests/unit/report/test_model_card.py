import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from scoring.clinical.joints import LEFT_HAND
from scoring.model_store.store import SHIPPED_DIR, SHIPPED_VERSION
from scoring.networks.readout import N_POINTS
from scoring.report import checklists, model_card, model_figures
from scoring.report.formatting import DASH, SPACE
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.evaluate import evaluate_predictions

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = '<script>alert(1)</script>"{{ 7*7 }}'

Facts = Mapping[str, Any]


class Document(HTMLParser):
    """Every element closes, in order; keeps the words, and the elements with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, *tags: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.elements if tag in tags)


@pytest.fixture(name="manifest", scope="module")
def shipped_manifest() -> Facts:
    found: Facts = json.loads((SHIPPED_DIR / SHIPPED_VERSION / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(name="evaluations", scope="module")
def made_evaluations() -> Mapping[str, Facts]:
    """Of 240 joints on 24 radiographs of 12 patients, with the readings of one reader."""
    rng = np.random.default_rng(8)
    n, radiograph = 240, np.arange(240) // 10
    truth = rng.choice([0, 0, 0, 8, 22, 35, 50, 70, 95], n).astype(np.float32)
    reading = np.clip(np.rint((truth + rng.normal(0, 4, n)) / 5) * 5, 0, 100).astype(np.float32)
    joints = JointSet(
        images=rng.integers(0, 256, (n, 4, 4), dtype=np.uint8),
        reading=reading,
        truth=truth,
        patient_id=np.array([f"{f // 2:05d}" for f in radiograph]),
        joint=np.array([LEFT_HAND[i % 10].column for i in range(n)]),
        sop_iuid=np.array([f"2.25.{f}" for f in radiograph]),
        year=2010 + radiograph % 2,
    )
    centre = truth + rng.normal(0, 5, n)
    cdf = (1 / (1 + np.exp(-(np.arange(N_POINTS) - centre[:, None]) / 3))).astype(np.float32)
    return {
        against: evaluate_predictions(Predictions(cdf), joints, against=against, engine="openvino float32").to_dict()
        for against in ("reading", "truth")
    }


@pytest.fixture(name="own", scope="module")
def site_manifest(manifest: Facts) -> Facts:
    """A model that a site trained on its own readings."""
    kept = {key: value for key, value in manifest.items() if key not in {"test_set", "notice"}}
    data = {key: manifest["data"][key] for key in ("training", "validation")}
    return {**kept, "trained_on_synthetic": False, "version": "site-1", "data": data}


def cards(manifest: Facts, evaluations: Mapping[str, Facts]) -> tuple[str, str]:
    return model_card.render_html(manifest, evaluations), model_card.render_markdown(manifest, evaluations)


@pytest.fixture(name="html", scope="module")
def full_html(manifest: Facts, evaluations: Mapping[str, Facts]) -> str:
    return model_card.render_html(manifest, evaluations)


def test_the_page_is_sound_and_loads_nothing(html: str) -> None:
    document = Document(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", html)
    assert not list(document.all("script", "link", "iframe", "object", "img"))
    ids = [
        attributes["id"] for attributes in document.all(*{tag for tag, _ in document.elements}) if attributes.get("id")
    ]
    assert len(ids) == len(set(ids))
    links = {str(attributes["href"])[1:] for attributes in document.all("a")}
    assert links <= set(ids)
    assert not re.search(r"\b(nan|None|NaN)\b", document.text)
    assert len([a for a in document.all("svg") if a.get("role") == "img" and a.get("aria-label")]) == 6


def test_the_same_input_gives_the_same_bytes(manifest: Facts, evaluations: Mapping[str, Facts], html: str) -> None:
    assert model_card.render_html(manifest, evaluations) == html


def test_every_measure_of_an_evaluation_is_on_the_card(evaluations: Mapping[str, Facts]) -> None:
    """A measure that nobody gave a name would be left out in silence."""
    rau = {name for name in evaluations["reading"]["measures"] if name.startswith("rau_")}
    assert set(evaluations["reading"]["measures"]) == set(model_card.MEASURES) | rau
    assert len(rau) == 6


def test_figures_stand_with_their_intervals(html: str, manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    text = Document(html).text
    found = evaluations["reading"]
    for name in ("quadratic_weighted_kappa", "icc", "coverage_90"):
        value, (low, high) = found["measures"][name], found["patient_intervals"][name]
        assert f"{value:.3f} {low:.3f} to {high:.3f}".replace("0.", ".") in text, name
    markdown = model_card.render_markdown(manifest, evaluations)
    assert f"| quadratic weighted kappa | **{found['measures']['quadratic_weighted_kappa']:.3f}".replace("0.", ".") in (
        markdown
    )


def test_the_card_says_what_it_is_not(html: str, manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    for text in (Document(html).text, model_card.render_markdown(manifest, evaluations).replace("*", "")):
        assert "Not a medical device." in text
        assert "trained and evaluated on synthetic phantoms" in text
        assert "say nothing about patients" in text


def test_every_table_and_figure_of_a_synthetic_model_is_marked(html: str) -> None:
    for part in (
        *re.findall(r"<figcaption>.*?</figcaption>", html, re.DOTALL),
        *re.findall(r"<caption>.*?</caption>", html),
    ):
        assert "Synthetic data." in part or "BMJ" in part or "Radiol" in part, part


def test_a_sites_model_is_not_called_synthetic(own: Facts, evaluations: Mapping[str, Facts]) -> None:
    for text in cards(own, {"reading": evaluations["reading"]}):
        seen = Document(text).text if text.startswith("<") else text
        assert "ynthetic" not in seen
        assert "hantom" not in seen
        assert "Not a medical device." in text.replace("*", "")
        assert "Another site" in text


def test_the_rau_error_stands_beside_human_and_simulated_readers(html: str, evaluations: Mapping[str, Facts]) -> None:
    text = Document(html).text
    assert "6.3 of 190 (3.3 %) on 38 joints" in text
    reader = evaluations["truth"]["reader"]["rau_of_grades_sdc"]
    assert re.search(rf"simulated reader sum of the read grades truth \S+ \S+ {reader:.1f} ", text)


def test_a_manifest_with_fewer_measures_makes_a_shorter_card(manifest: Facts) -> None:
    """The first models were evaluated before most measures were there."""
    known = ("accuracy", "class_normalized_accuracy", "within_one_accuracy", "quadratic_weighted_kappa", "crps", "mae")
    found = manifest["metrics"]["reading"]
    few: Facts = {name: found[name] for name in ("against", "n", "n_patients", "recall", "recall_wilson", "confusion")}
    few |= {part: {name: found[part][name] for name in known} for part in ("measures", "always_0", "errorless_reader")}
    few |= {"patient_intervals": {name: found["patient_intervals"][name] for name in known[:4]}, "engine": "openvino"}
    few |= {"accuracy_wilson": found["accuracy_wilson"]}
    manifest = {**manifest, "metrics": {"reading": few}}
    html, markdown = cards(manifest, manifest["metrics"])
    document = Document(html)
    headings = [attributes["aria-labelledby"] for attributes in document.all("section")]
    assert "figures-title" in headings
    assert not {"rau-title", "calibration-title", "subgroups-title"} & set(headings)
    shown = [found["measures"][known[1]], *found["patient_intervals"][known[1]]]
    assert "{} {} to {}".format(*(f"{value:.3f}".removeprefix("0") for value in shown)) in document.text
    assert manifest["test_set"]["snapshot_sha256"][:12] in document.text
    assert "does not hold it" in document.text
    assert "## Calibration" not in markdown
    assert set(model_card.figure_files(manifest, manifest["metrics"])) == {"confusion.svg", "learning.svg"}


def test_the_hash_of_the_test_set_stands_only_with_its_own_figures(html: str, manifest: Facts) -> None:
    assert manifest["test_set"]["snapshot_sha256"][:12] not in html


def test_a_card_without_an_evaluation_is_refused(manifest: Facts) -> None:
    for render in (model_card.render_html, model_card.render_markdown, model_card.figure_files):
        with pytest.raises(ValueError, match="needs an evaluation against readings"):
            render(manifest, {})


@pytest.mark.parametrize(
    ("rule", "said"),
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
            "which count 1, 1.42, 2.5, 3.71, 4, 3.3 times; the 90 %",
        ),
        (
            {"grade_by": "most_probable", "borders": [1, 20, 40, 60, 80], "interval_level": 0.9},
            "is the most probable one",
        ),
    ],
)
def test_the_card_says_how_answers_are_read(
    manifest: Facts, evaluations: Mapping[str, Facts], rule: Facts | None, said: str
) -> None:
    others = {name: value for name, value in manifest.items() if name != "read_out"}
    ruled = others if rule is None else {**others, "read_out": rule}
    for text in cards(ruled, evaluations):
        assert said in text


def test_what_else_a_manifest_says_of_its_data_is_on_the_card(own: Facts, evaluations: Mapping[str, Facts]) -> None:
    """As retraining writes it."""
    facts = {"cut_off": "2026-11-21", "excluded": {"no_image": 3}, "snapshot_sha256": "ab" * 32}
    retrained = {**own, "started_from": "site-0", "data": {**own["data"], **facts}}
    html, markdown = cards(retrained, {"reading": evaluations["reading"]})
    assert f"cut off 2026-11-21 left out no image 3 snapshot sha256 {'ab' * 32}" in Document(html).text
    assert "| left out | no image 3 |" in markdown
    assert "| Weights gone on from | site-0 |" in markdown


def test_words_from_a_manifest_are_text(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    hostile = {**manifest, "version": HOSTILE, "data": {**manifest["data"], "card": HOSTILE}}
    html = model_card.render_html(hostile, evaluations)
    assert "<script>" not in html
    assert HOSTILE in Document(html).text


def test_a_suppressed_group_shows_no_number(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    found = deepcopy(dict(evaluations))
    row = next(row for row in found["reading"]["subgroups"] if row["by"] == "year")
    row.update(n=None, n_patients=None, measures={}, patient_intervals={})
    document = Document(model_card.render_html(manifest, found))
    assert f"2010 suppressed <5 {DASH} {DASH} {DASH} {DASH} {DASH}" in document.text
    assert "2010" not in re.findall(r">(\d{4})<", model_card.figure_files(manifest, found)["subgroups.svg"])


def test_the_only_side_is_no_subgroup(html: str) -> None:
    assert "Side" not in Document(html).text


def test_figure_files_are_images_of_their_own(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    files = model_card.figure_files(manifest, evaluations)
    markdown = model_card.render_markdown(manifest, evaluations)
    assert set(re.findall(r"\(figures/([a-z]+\.svg)\)", markdown)) == set(files)
    for name, svg in files.items():
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert root.attrib["aria-label"]
        assert "var(" not in svg


def test_markdown_tables_have_as_many_cells_as_their_head(manifest: Facts, evaluations: Mapping[str, Facts]) -> None:
    width = 0
    for line in model_card.render_markdown(manifest, evaluations).splitlines():
        cells = line.count("|") if line.startswith("|") else 0
        assert cells == width or not cells or not width, line
        width = cells


def test_the_confusion_matrix_tells_its_numbers() -> None:
    counts = np.diag([6039, 1282, 240, 58, 36, 116])
    counts[0, 1] = 853
    svg = model_figures.confusion(counts.tolist())
    assert 'aria-label="Confusion matrix. Share of joints with the right grade: grade 0 88 %, grade 1 100 %' in svg
    assert ">6,039<" in svg
    assert ">12 %<" in svg


def test_a_grade_without_joints_has_no_cell() -> None:
    svg = model_figures.confusion([[3, 0, 0, 0, 0, 0], *[[0] * 6] * 5])
    assert "grade 0 100 %." in svg
    assert "nan" not in svg


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.7157, "share", ".716"),
        (1.0, "share", "1.000"),
        (0.99996, "share", "1.000"),
        (-0.1312, "share", "\N{MINUS SIGN}.131"),
        (2.283, "percent", f"2.28{SPACE}%"),
        (10281.0, "count", "10,281"),
        (0.01497, "score", ".0150"),
        (226.85, "score", "226.8"),
        (-14.09, "rau", "\N{MINUS SIGN}14.1"),
        (None, "share", DASH),
    ],
)
def test_values_are_shown_with_the_digits_they_are_read_with(value: float | None, kind: str, text: str) -> None:
    assert model_card.show(value, kind) == text


@pytest.mark.parametrize("items", [checklists.TRIPOD_AI, checklists.CLAIM])
@pytest.mark.parametrize("synthetic", [True, False])
def test_every_item_of_the_checklists_has_an_answer(items: tuple[checklists.Item, ...], synthetic: bool) -> None:
    shown = set(checklists.SECTIONS)
    assert len({item.number for item in items}) == len(items)
    for item in items:
        status, section, remark = item.answer(synthetic=synthetic, shown=shown)
        assert status in {"answered", "not applicable", "not done"}
        assert (section in checklists.SECTIONS) == (status == "answered"), item
        assert not remark.startswith(("not", ":")), item
        without = item.answer(synthetic=synthetic, shown=shown - {item.section})
        assert without[0] != "answered"


def test_tripod_ai_is_complete() -> None:
    """27 items, some in parts."""
    assert {re.sub("[a-z]", "", item.number) for item in checklists.TRIPOD_AI} == {str(i) for i in range(1, 28)}
