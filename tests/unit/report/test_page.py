import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from upath import UPath

from scoring.report import nightly
from scoring.report.nightly_data import COLUMNS, ModelFacts, NightlyReport, empty_frame

NIGHT = date(2026, 11, 21)
STARTED = datetime(2026, 11, 22, 2, 0, 4, tzinfo=UTC)
HOSTILE = '2026-11-21/joints/"><script>alert(1)</script><img src=x onerror=alert(1)>_{{ 7*7 }}.jpg'
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Document(HTMLParser):
    """Reads a page strictly: every element closes, in order; keeps what tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice on <{tag}>"
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


def frame(name: str, *rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS[name]))


def books(*, landed: int = 40, scored: int = 35, quarantined: int = 5, balanced: bool = True) -> pd.DataFrame:
    return frame(
        "books",
        ("consultations", 4, np.nan, np.nan, 3, 0, 1, 0, 0, True),
        ("images", landed, scored, 0, np.nan, np.nan, np.nan, np.nan, quarantined, balanced),
    )


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(128, dtype=np.uint8), (128, 1))).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.fixture(name="full", scope="module")
def full_report() -> NightlyReport:
    rng = np.random.default_rng(3)
    joints = frame(
        "worst_joints",
        ("1.2.3", "hand_left_1", 87.4, 61.2, 98.9, 5, jpeg()),
        ("1.2.4", "foot_right_5", 55.0, 20, 80, 3, None),
    )
    return NightlyReport(
        batch_date=NIGHT,
        run_id="6f1d2b44",
        status="succeeded",
        model=ModelFacts("2026.11.1", "0123456789abcdef" * 4, True, "grey128-v1", "openvino"),
        code_revision="a1b2c3",
        started_at=STARTED,
        finished_at=STARTED + timedelta(seconds=137),
        books=books(),
        late_files=frame("late_files", (date(2026, 11, 20), 3)),
        quarantine=frame(
            "quarantine",
            (
                "images.decodes",
                "images",
                "critical",
                5,
                "The file is cut off.",
                "Ask for it again.",
                [HOSTILE, "b.jpg"],
            ),
        ),
        warnings=frame("warnings", ("images.contrast", "images", "warning", 1, "Pale.", "Look at it.", ["c.jpg"])),
        grade_distribution=frame(
            "grade_distribution",
            *[(NIGHT - timedelta(days=k), g, n) for k in range(3) for g, n in enumerate((24, 8, 1, 1, 0, 1))],
        ),
        rau_points=pd.concat(
            pd.DataFrame(
                {
                    "activity": "das28_esr4",
                    "das28": rng.uniform(1, 7, 50),
                    "damage": damage,
                    "rau": rng.uniform(0, 50, 50),
                }
            )
            for damage in ("reported_rau", "predicted_rau")
        ),
        correlation=frame(
            "correlation",
            ("reported_rau", "das28_esr4", "spearman", 0.16, 0.11, 0.21, 0.95, 2400, 811),
            ("reported_rau", "das28_esr4", "pearson", -0.04, -0.1, 0.02, 0.95, 2400, 811),
        ),
        worst_joints=joints,
        doubtful_joints=joints,
        data_docs="data_docs/index.html",
        psql="psql service=warehouse",
    )


def emptied(report: NightlyReport, *names: str) -> NightlyReport:
    return replace(report, **{name: empty_frame(name) for name in names})


def every_night(full: NightlyReport) -> dict[str, NightlyReport]:
    unscored = emptied(full, "late_files", "worst_joints", "doubtful_joints", "grade_distribution", "warnings")
    early = replace(emptied(full, *COLUMNS), status="failed", message="No _SUCCESS.", finished_at=None)
    return {
        "full": full,
        "empty": replace(emptied(unscored, "quarantine"), books=books(landed=0, scored=0, quarantined=0).iloc[1:]),
        "all quarantined": replace(unscored, books=books(scored=0, quarantined=40)),
        "failed early": early,
        "unbalanced": replace(full, status="failed", books=books(scored=33, balanced=False)),
        "no DAS28": emptied(full, "rau_points", "correlation"),
    }


@pytest.fixture(name="pages", scope="module")
def rendered(full: NightlyReport) -> dict[str, str]:
    return {name: nightly.render_nightly_report(report) for name, report in every_night(full).items()}


NIGHTS = ["full", "empty", "all quarantined", "failed early", "unbalanced", "no DAS28"]


@pytest.mark.parametrize("name", NIGHTS)
def test_pages_are_well_formed_and_accessible(pages: dict[str, str], name: str) -> None:
    html = pages[name]
    document = Document(html)
    assert html.startswith("<!DOCTYPE html>")
    assert next(document.all("html"))["lang"] == "en"
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in document.all("a"):
        target = attributes["href"] or ""
        assert not target.startswith("#") or target[1:] in ids
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
    assert not re.search(r"\b(nan|None|NaT)\b", document.text)


@pytest.mark.parametrize("name", NIGHTS)
def test_pages_load_nothing(pages: dict[str, str], name: str) -> None:
    html = pages[name]
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", html)
    document = Document(html)
    assert not list(document.all("script", "link", "iframe", "object"))
    assert all((attributes["src"] or "").startswith("data:image/jpeg;base64,") for attributes in document.all("img"))
    assert not any(key.startswith("on") for _, attributes in document.elements for key in attributes)


def test_the_same_report_gives_the_same_bytes(full: NightlyReport, pages: dict[str, str]) -> None:
    assert nightly.render_nightly_report(full) == pages["full"]


def test_hostile_file_names_are_text(pages: dict[str, str]) -> None:
    document = Document(pages["full"])
    assert HOSTILE in document.text


def test_columns_nobody_asked_for_never_reach_the_page(full: NightlyReport, pages: dict[str, str]) -> None:
    planted = {
        name: getattr(full, name).assign(patient_id="PATIENT-00123", patient_name="Mustermann") for name in COLUMNS
    }
    html = nightly.render_nightly_report(replace(full, **planted))
    assert "00123" not in html
    assert "Mustermann" not in html
    assert html == pages["full"]


@pytest.mark.parametrize(
    ("name", "sentence", "tone"),
    [
        ("full", "Succeeded: 35 joints scored; 5 joint images quarantined; all books balance.", "good"),
        (
            "empty",
            "Succeeded: the night's folder was empty, so there was nothing to score; all books balance.",
            "wait",
        ),
        ("all quarantined", "Succeeded: no joint scored, all 40 joint images quarantined; all books balance.", "wait"),
        (
            "failed early",
            "Failed: the night stopped before its books were kept, and nothing of it was published.",
            "bad",
        ),
        (
            "unbalanced",
            (
                "Failed: 33 joints scored; 5 joint images quarantined; "
                "the books do not balance: joint images (2 joint images unaccounted for)."
            ),
            "bad",
        ),
    ],
)
def test_headline(full: NightlyReport, pages: dict[str, str], name: str, sentence: str, tone: str) -> None:
    report = every_night(full)[name]
    assert nightly.headline(report) == sentence
    assert nightly.tone(report) == tone
    assert sentence in Document(pages[name]).text


def test_headline_counts_several_datasets_in_one_number(full: NightlyReport) -> None:
    both = books()
    both.loc[both["dataset"] == "consultations", ["new", "quarantined"]] = [2, 1]
    assert "; 6 rows quarantined (5 joint images and 1 consultation);" in nightly.headline(replace(full, books=both))


def test_headline_of_a_night_run_again(full: NightlyReport) -> None:
    again = books(scored=0)
    again.loc[again["dataset"] == "images", "already_scored"] = 35
    assert "no joint scored anew, 35 scored by an earlier run" in nightly.headline(replace(full, books=again))


def test_headline_without_images(full: NightlyReport) -> None:
    report = replace(full, books=books(landed=0, scored=0, quarantined=0))
    assert nightly.headline(report) == "Succeeded: no joint image came; nothing quarantined; all books balance."


def test_too_many_rows_are_named_as_such(full: NightlyReport) -> None:
    report = replace(full, books=books(scored=36, balanced=False))
    assert "joint images (1 joint image too many)" in nightly.headline(report)
    assert "✗ 1 too many" in Document(nightly.render_nightly_report(report)).text


@pytest.mark.parametrize(
    ("name", "said", "charts"),
    [
        ("empty", ["held no rows and no images", "There was nothing to check.", "no distribution to show"], 2),
        ("all quarantined", ["What to do: Ask for it again.", "No joint was scored in this night."], 2),
        ("failed early", ["No _SUCCESS.", "The run recorded nothing"], 0),
        ("no DAS28", ["No visit so far has both a Rau score and a DAS28"], 1),
    ],
)
def test_what_is_missing_is_said_in_words_not_drawn(
    pages: dict[str, str], name: str, said: list[str], charts: int
) -> None:
    document = Document(pages[name])
    for words in said:
        assert words in document.text
    assert sum(attributes.get("role") == "img" for attributes in document.all("svg")) == charts


def test_the_mark_of_a_synthetic_model_stands_at_every_figure(full: NightlyReport) -> None:
    document = Document(nightly.render_nightly_report(full))
    assert "Not for clinical use." in document.text
    # Grades, one scatter panel, forest, severe joints, doubtful joints.
    assert document.text.count("Model trained on synthetic phantoms.") == 5
    own = Document(nightly.render_nightly_report(replace(full, model=replace(full.model, trained_on_synthetic=False))))
    assert "ynthetic" not in own.text
    assert "Not for clinical use." not in own.text


def test_synthetic_records_are_called_synthetic(full: NightlyReport) -> None:
    document = Document(nightly.render_nightly_report(replace(full, synthetic_data=True)))
    assert "Synthetic data, not for clinical use." in document.text
    assert document.text.count("Synthetic data.") == 5


def test_correlations_come_with_interval_and_both_counts(pages: dict[str, str]) -> None:
    text = Document(pages["full"]).text
    assert "0.16 (0.11 to 0.21)" in text
    assert "\N{MINUS SIGN}0.04 (\N{MINUS SIGN}0.10 to 0.02)" in text
    assert "2,400 811" in text
    assert "DAS28-ESR, 4 variables. Visits: 50 reported by readers and 50 predicted." in text
    assert ".15 with DAS28-ESR and .08 with three-variable DAS28-CRP; those come from another population" in text


def test_joints_are_named_as_clinicians_name_them(pages: dict[str, str]) -> None:
    document = Document(pages["full"])
    assert "left PIP5" in document.text
    assert "right great toe IP" in document.text
    assert "image cannot be shown" in document.text
    assert next(document.all("img"))["alt"] == (
        "Radiograph of the left PIP5, predicted Ratingen grade 5, 87 percent eroded"
    )


@pytest.mark.parametrize(
    ("column", "term"),
    [
        ("hand_left_10", "left thumb IP"),
        ("hand_right_7", "right MCP2"),
        ("foot_left_1", "left MTP5"),
        ("foot_left_5", "left great toe IP"),
        ("wrist_right", "right wrist"),
    ],
)
def test_joint_terms(column: str, term: str) -> None:
    assert nightly.joint_term(column) == term


def test_at_most_five_examples_and_the_number_of_the_others(full: NightlyReport) -> None:
    many = full.quarantine.assign(n=1200, examples=[[f"row-{i}" for i in range(9)]])
    text = Document(nightly.render_nightly_report(replace(full, quarantine=many))).text
    assert "row-4" in text
    assert "row-5" not in text
    assert "and 1,195 more" in text


@pytest.mark.parametrize("link", ["https://docs.example/x", "s3://bucket/x", "javascript:alert(1)", "//host/x"])
def test_a_link_to_another_host_is_text(full: NightlyReport, link: str) -> None:
    document = Document(nightly.render_nightly_report(replace(full, data_docs=link)))
    assert link in document.text
    assert link not in {attributes["href"] for attributes in document.all("a")}


def test_nights_as_timestamps_are_the_same_nights(full: NightlyReport, pages: dict[str, str]) -> None:
    stamps = full.grade_distribution.assign(batch_date=pd.to_datetime(full.grade_distribution["batch_date"]))
    assert nightly.render_nightly_report(replace(full, grade_distribution=stamps)) == pages["full"]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (0.0004, "<0.1 %"), (0.0005, "0.1 %"), (0.6784, "67.8 %"), (1, "100.0 %")]
)
def test_percent(share: float, text: str) -> None:
    assert nightly.percent(share).replace(nightly.SPACE, " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (137, "2 min 17 s"), (14580, "4 h 03 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert nightly.span(timedelta(seconds=seconds)).replace(nightly.SPACE, " ") == text


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: str) -> None:
    css = resources.files("scoring.report").joinpath("templates/night.css").read_text(encoding="utf-8")
    part = css.split("@media screen and (prefers-color-scheme: dark)")[scheme == "dark"]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part.split("* {")[0]))
    pairs = [(text, back) for text in ("ink", "muted", "link", "wait") for back in ("page", "card")]
    pairs += [(tone, f"{tone}-back") for tone in ("good", "bad", "wait")] + [("good", "card"), ("bad", "card")]
    for text, back in pairs:
        low, high = sorted((luminance(colours[text]), luminance(colours[back])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, back)
    for mark in ("reported", "predicted"):
        low, high = sorted((luminance(colours[mark]), luminance(colours["card"])))
        assert (high + 0.05) / (low + 0.05) >= 3, mark


def test_write_page_replaces_the_old_page_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "2026" / "night.html"
    nightly.write_page("<p>ä</p>", str(target))
    nightly.write_page("<p>ö</p>", str(target))
    assert target.read_text(encoding="utf-8") == "<p>ö</p>"
    assert list(target.parent.iterdir()) == [target]


def test_write_page_to_an_object_store() -> None:
    url = "memory://reports/2026/night.html"
    nightly.write_page("<p>old</p>", url)
    nightly.write_page("<p>new</p>", url)
    assert UPath(url).read_text(encoding="utf-8") == "<p>new</p>"
    assert [child.name for child in UPath(url).parent.iterdir()] == ["night.html"]


def test_a_write_that_fails_keeps_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "night.html"
    nightly.write_page("<p>old</p>", str(target))

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(UPath(tmp_path)), "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        nightly.write_page("<p>new</p>", str(target))
    assert target.read_text(encoding="utf-8") == "<p>old</p>"
    assert list(tmp_path.iterdir()) == [target]
