import json
import re
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from expectations.consultations import consultations_suite
from scoring.errors import ModelRejected
from scoring.settings import Settings
from scoring.validation.batch import check_predictions
from scoring.validation.docs import BatchDocs
from scoring.validation.facts import consultation_facts
from scoring.validation.runner import broken_table_rules, row_breaches

LOADING = re.compile(r"(?:url\(|@import)\s*[\"']?\s*([^\s\"')]+)", re.IGNORECASE)
ANY_SHARE = Settings(_env_file=None, max_bad_share=1)
PLANTED = "Hieronymus"


class Page(HTMLParser):
    """The tags of an HTML report, their addresses, its ids and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.ids, self.text = set(), [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "srcset", "href", "action", "data"}]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def site(build, tmp_path_factory):
    """The site of a batch in which every row is bad and every value is recognisable."""
    root = tmp_path_factory.mktemp("reports")
    marked = {"id_x": f"{PLANTED}-id", "patient_id": f"{PLANTED}-patient", "sop_iuid": f"{PLANTED}/radiograph"}
    consultations = build.consultations(
        {**marked, "date_x_text": f"{PLANTED}-date", "date_x": None, "body_part": f"{PLANTED}-part"},
        {**marked, "rau_score": 7771.5, "rau_score_text": "7771.5", "date_x": date(1777, 7, 17)},
    )
    readings = build.readings(
        consultations,
        {"reading_percent": 8882.25},
        {"of": 1, "joint": f"{PLANTED}-joint", "reading_percent": np.nan, "reading_percent_text": f"{PLANTED}-text"},
    )
    activity = build.activity(
        {"patient_id": f"{PLANTED}-patient", "esr": 9993.75},
        {"patient_id": f"{PLANTED}-patient", "crp": np.nan, "crp_text": f"{PLANTED}-crp"},
    )
    images = build.images(
        {"sop_iuid": f"{PLANTED}-radiograph", "sha256": f"{PLANTED}-sha", "decodes": False, "decode_error": PLANTED},
        {"sop_iuid": f"{PLANTED}-radiograph", "joint": f"{PLANTED}-joint", "width": 66614, "contrast": 0.12321},
    )
    docs = BatchDocs(str(root), build.batch_date, "run-1")
    tables = {"consultations": consultations, "readings": readings, "activity": activity, "images": images}
    verdict = build.validate_batch(settings=ANY_SHARE, docs=docs, **tables)
    assert all(each.accepted.empty for each in verdict)
    first = docs.write()
    later = BatchDocs(str(root), build.batch_date, "run-1")
    with pytest.raises(ModelRejected):
        check_predictions(
            build.predictions({"image_sha256": f"{PLANTED}-sha", "predicted_percent": 5554.125}),
            pd.DataFrame({"image_sha256": [f"{PLANTED}-planned"]}),
            docs=later,
        )
    assert later.write() == first
    return UPath(first).parent


def test_batch_docs_writes_one_report_per_suite(site, build):
    assert site.parts[-3:] == (build.batch_date.isoformat(), "data_docs", "run-1")
    index = (site / "index.html").read_text()
    for suite in ("consultations", "readings", "disease_activity", "images", "predictions"):
        assert f"/{suite}.html" in index
        assert len(list(site.rglob(f"{suite}.html"))) == 1


def test_batch_docs_contains_no_value_of_a_patient(site):
    planted = [
        PLANTED,
        "7771.5",
        "8882.25",
        "9993.75",
        "66614",
        "0.12321",
        "5554.125",
        "1777-07-17",
        "consultations.csv:",
    ]
    files = [path for path in site.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        for value in planted:
            assert value.encode() not in content, f"{value} in {path}"


def test_batch_docs_shows_the_counts_and_severity_of_a_rule(site):
    page = next(site.rglob("disease_activity.html")).read_text()
    assert "2026-11-21" in page
    assert "__none__" not in page
    assert "esr is between 0 and 300. If not: esr is outside 0 to 300 mm/h." in page
    results = json.loads((site / "results" / "disease_activity.json").read_text())["results"]
    rule = next(
        each for each in results if each["expectation_config"]["meta"]["rule"] == "disease_activity.esr_in_range"
    )
    assert rule["result"]["unexpected_count"] == 1
    assert rule["result"]["element_count"] == 2
    assert rule["expectation_config"]["severity"] == "critical"


def test_batch_docs_loads_nothing_from_other_servers(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) == 6
    for path in pages:
        text = path.read_text()
        page = Page(text)
        for address in [*page.addresses, *LOADING.findall(text)]:
            assert not re.match(r"[a-z][a-z0-9+.-]*:|//", address, re.IGNORECASE), f"{address} in {path}"
        assert "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'" in text
        assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base"})


def test_batch_docs_writes_only_html_and_json(site):
    assert {path.suffix for path in site.rglob("*") if path.is_file()} == {".html", ".json"}


def test_batch_docs_has_no_broken_links(site):
    for path in site.rglob("*.html"):
        page = Page(path.read_text())
        assert page.addresses
        assert len(set(page.ids)) == len(page.ids)
        for address in page.addresses:
            file, _, anchor = address.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), f"{address} in {path}"
            assert not anchor or anchor in Page(target.read_text()).ids, f"{address} in {path}"


def test_batch_docs_index_lists_every_failed_rule_with_its_remedy_and_count(site):
    index = Page((site / "index.html").read_text()).text
    n_failed = 0
    for path in (site / "results").glob("*.json"):
        for each in json.loads(path.read_text())["results"]:
            about = each["expectation_config"]["meta"]
            assert (about["rule"] in index) is not each["success"]
            if not each["success"]:
                n_failed += 1
                assert about["reason"] in index
                assert about["remedy"] in index
    assert f"✗ {n_failed} of " in index


def test_batch_docs_lists_the_failed_rules_of_a_suite_before_its_tables(site):
    page = Page((site / "suites" / "disease_activity.html").read_text()).text
    assert page.index("disease_activity.esr_in_range") < page.index("All rules, by column")
    assert "1 of 2 rows" in " ".join(page.split())


def test_batch_docs_escapes_angle_brackets(site):
    assert "<sop_iuid>_<joint>.jpg" in Page((site / "suites" / "images.html").read_text()).text


@pytest.mark.parametrize(
    ("row", "headline"),
    [
        ({}, "✓ All 31 rules passed."),
        ({"body_part": "ELBOW"}, "! 1 of 31 rules failed, none of them critical."),
        ({"body_part": "ELBOW", "rau_score": 400.0}, "✗ 2 of 31 rules failed."),
    ],
)
def test_batch_docs_headline_reports_failed_and_critical_rules(build, tmp_path, row, headline):
    docs = BatchDocs(str(tmp_path), build.batch_date, "run-1")
    suite = consultations_suite(build.batch_date)
    consultations = build.consultations(row)
    readings = build.readings(consultations, *({"joint": joint} for joint in ("hand_left_1", "hand_left_2")))
    broken_table_rules(consultations, suite, docs=docs)
    row_breaches(consultation_facts(consultations, readings, build.known_radiographs()), suite, docs=docs)
    docs.write()
    for page in ("index.html", "suites/consultations.html"):
        assert headline in (docs.url / page).read_text()


def test_batch_docs_adds_up_the_counts_of_several_shards(build, tmp_path):
    docs = BatchDocs(str(tmp_path), build.batch_date, "run-1")
    for shas in (["a"], ["b", "c"]):
        rows = build.predictions(*({"image_sha256": sha} for sha in shas))
        check_predictions(rows, rows, docs=docs)
    docs.write()
    results = json.loads((docs.url / "results" / "predictions.json").read_text())
    assert results["success"]
    by_rule = {each["expectation_config"]["meta"]["rule"]: each["result"] for each in results["results"]}
    assert by_rule["predictions.cdf_monotone"]["element_count"] == 3
    assert by_rule["predictions.cdf_monotone"]["unexpected_percent"] == 0
