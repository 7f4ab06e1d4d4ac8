import json
import shutil
from pathlib import Path

import pytest

from scoring.errors import InvalidRequest, ModelRejected
from scoring.model_store.store import SHIPPED_DIR, SHIPPED_VERSION
from scoring.pipeline import models
from scoring.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(var_dir=tmp_path / "var", code_revision="test", _env_file=None)


def silent(doing, done, total):
    pass


@pytest.fixture
def evaluated(monkeypatch):
    """Replaces the evaluation of a stored model, which takes minutes; remembers what was asked for."""
    from scoring.training.data import phantoms

    calls = []
    metrics = json.loads((SHIPPED_DIR / SHIPPED_VERSION / "manifest.json").read_text())["metrics"]

    class Found:
        def __init__(self, against):
            self.against = against

        def to_dict(self):
            measures = {**metrics[self.against]["measures"], "accuracy": 0.4321}
            return {**metrics[self.against], "measures": measures}

    def evaluate(version, store_url, **options):
        calls.append((version, store_url, options["n_joints"], options["against"]))
        return Found(options["against"])

    monkeypatch.setattr(phantoms, "evaluate_on_phantoms", evaluate)
    return calls


def test_a_card_lies_below_the_reports_with_its_figures(settings):
    html, markdown = models.card(settings, version=None, progress=silent)
    folder = Path(settings.report_url) / "models" / SHIPPED_VERSION
    assert (html, markdown) == (str(folder / "model_card.html"), str(folder / "model_card.md"))
    manifest = json.loads((SHIPPED_DIR / SHIPPED_VERSION / "manifest.json").read_text())
    accuracy = manifest["metrics"]["reading"]["measures"]["class_normalized_accuracy"]
    assert f"{accuracy:.3f}".removeprefix("0") in Path(html).read_text(encoding="utf-8")
    figures = ("confusion", "learning", "pit", "reliability", "spread", "subgroups")
    assert {path.name for path in (folder / "figures").iterdir()} == {f"{name}.svg" for name in figures}
    for name in figures:
        assert f"(figures/{name}.svg)" in Path(markdown).read_text(encoding="utf-8")


def test_a_card_may_be_made_from_an_evaluation_of_now(settings, evaluated):
    html, _ = models.card(settings, version=SHIPPED_VERSION, evaluate_now=True, progress=silent)
    assert evaluated == [(SHIPPED_VERSION, settings.model_store_url, None, against) for against in ("reading", "truth")]
    assert ".432" in Path(html).read_text(encoding="utf-8")


def test_a_model_without_figures_has_no_card(settings):
    folder = Path(settings.model_store_url) / "bare"
    shutil.copytree(SHIPPED_DIR / SHIPPED_VERSION, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["metrics"]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": "bare"}))
    with pytest.raises(InvalidRequest, match="`scoring card --version bare --evaluate` makes one"):
        models.card(settings, version="bare", progress=silent)
    assert not Path(settings.report_url).exists()


def test_an_unknown_model_is_refused(settings):
    with pytest.raises(ModelRejected, match="no model nobody"):
        models.card(settings, version="nobody", progress=silent)


def test_figures_of_an_evaluation_as_rows():
    rows = {
        row["measure"]: row
        for row in models.figures(
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
        "errorless reader": 0.9,
        "simulated reader": 0.68,
    }
    assert rows["rau sdc"]["model"] is rows["rau sdc"]["95 % interval"] is None
    assert rows["recall of grade 0 (8 joints)"]["always 0"] == 1
    assert rows["recall of grade 1 (2 joints)"]["always 0"] == 0
    assert len({tuple(row) for row in rows.values()}) == 1
