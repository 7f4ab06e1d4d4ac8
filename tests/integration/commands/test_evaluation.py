import json
import shutil
from pathlib import Path

import pytest

from scoring.commands import evaluation
from scoring.errors import InvalidRequest, ModelRejected
from scoring.model_store.store import SHIPPED_DIR, SHIPPED_VERSION
from scoring.progress import no_progress
from scoring.settings import Settings

MANIFEST = json.loads((SHIPPED_DIR / SHIPPED_VERSION / "manifest.json").read_text())


@pytest.fixture
def settings(tmp_path):
    return Settings(var_dir=tmp_path / "var", code_revision="test", _env_file=None)


@pytest.fixture
def evaluations(monkeypatch):
    """Replace the evaluation of a stored model, which takes minutes; return the requests."""
    from scoring.training import phantoms

    requests = []

    class Evaluated:
        def __init__(self, against):
            self.against = against

        def to_dict(self):
            stated = MANIFEST["metrics"][self.against]
            return {**stated, "measures": {**stated["measures"], "accuracy": 0.4321}}

    def evaluate(version, store_url, *, source, n_joints, against):
        requests.append((version, store_url, n_joints, against))
        return Evaluated(against)

    monkeypatch.setattr(phantoms, "evaluate_on_phantoms", evaluate)
    return requests


def test_card_writes_html_markdown_and_figures(settings):
    html, markdown = evaluation.card(settings, version=None, progress=no_progress)
    folder = Path(settings.report_url) / "models" / SHIPPED_VERSION
    assert (html, markdown) == (str(folder / "model_card.html"), str(folder / "model_card.md"))
    accuracy = MANIFEST["metrics"]["reading"]["measures"]["class_normalized_accuracy"]
    assert f"{accuracy:.3f}".removeprefix("0") in Path(html).read_text(encoding="utf-8")
    figures = ("confusion", "learning", "pit", "reliability", "spread", "subgroups")
    assert {path.name for path in (folder / "figures").iterdir()} == {f"{name}.svg" for name in figures}
    for name in figures:
        assert f"(figures/{name}.svg)" in Path(markdown).read_text(encoding="utf-8")


def test_card_evaluates_the_model_now_if_requested(settings, evaluations):
    html, _ = evaluation.card(settings, version=SHIPPED_VERSION, evaluate_now=True, progress=no_progress)
    store = settings.model_store_url
    assert evaluations == [(SHIPPED_VERSION, store, None, against) for against in ("reading", "truth")]
    assert ".432" in Path(html).read_text(encoding="utf-8")


def test_card_rejects_a_manifest_without_evaluation(settings):
    folder = Path(settings.model_store_url) / "bare"
    shutil.copytree(SHIPPED_DIR / SHIPPED_VERSION, folder)
    bare = {name: value for name, value in MANIFEST.items() if name != "metrics"}
    (folder / "manifest.json").write_text(json.dumps({**bare, "version": "bare"}))
    with pytest.raises(InvalidRequest, match="Run `scoring card --version bare --evaluate`"):
        evaluation.card(settings, version="bare", progress=no_progress)
    assert not Path(settings.report_url).exists()


def test_card_rejects_an_unknown_model(settings):
    with pytest.raises(ModelRejected, match="unknown-1"):
        evaluation.card(settings, version="unknown-1", progress=no_progress)


def test_figures_returns_one_row_per_measure_and_grade():
    rows = {
        row["measure"]: row
        for row in evaluation.figures(
            {
                "measures": {"accuracy": 0.75, "rau_sdc": None},
                "patient_intervals": {"accuracy": [0.7012, 0.7987], "rau_sdc": [None, None]},
                "always_0": {"accuracy": 0.4},
                "errorless_reader": {"accuracy": 0.9},
                "reader": {"accuracy": 0.68},
                "confusion": [[7, 1], [1, 1]],
                "recall": [0.875, 0.5],
                "recall_wilson": [[0.529, 0.9776], [0.0945, 0.9055]],
            }
        )
    }
    assert rows["accuracy"] == {
        "measure": "accuracy",
        "model": 0.75,
        "95 % interval": "0.701 to 0.799",
        "always 0": 0.4,
        "error-free reader": 0.9,
        "simulated reader": 0.68,
    }
    assert rows["rau sdc"]["model"] is rows["rau sdc"]["95 % interval"] is None
    assert rows["recall of grade 0 (8 joints)"]["always 0"] == 1
    assert rows["recall of grade 1 (2 joints)"]["always 0"] == 0
    assert len({tuple(row) for row in rows.values()}) == 1
