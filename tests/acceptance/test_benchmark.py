"""`scoring benchmark` with few joints: it draws, trains and compares, and does not train again."""

import pytest
from click.testing import CliRunner

from scoring.cli import main
from scoring.model_store.store import SHIPPED_VERSION
from scoring.settings import get_settings
from scoring.training.benchmark import comparison

ARGUMENTS = [
    "benchmark", "--recipe", "grid-residual", "--patients", "20", "--test-joints", "200", "--epochs", "1",
    "--model", SHIPPED_VERSION,
]  # fmt: skip


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("SCORING_VAR_DIR", str(tmp_path / "var"))
    get_settings.cache_clear()
    yield tmp_path / "var"
    get_settings.cache_clear()


@pytest.mark.slow
def test_benchmark_compares_a_recipe_with_the_shipped_model(site, monkeypatch):
    first = CliRunner().invoke(main, ARGUMENTS)
    assert first.exit_code == 0, first.output
    assert "200 synthetic joints" in first.stdout
    assert "says nothing about real patients" in first.stdout
    for name in (
        f"{SHIPPED_VERSION}, as stored", f"{SHIPPED_VERSION}, tempered", f"{SHIPPED_VERSION}, isotonic",
        "grid-residual", "grid-residual, with mirror image", "grid-residual, with radiograph context",
    ):  # fmt: skip
        assert name in first.stdout
    # After one epoch on a dozen patients, the shipped model leads on any joints.
    lead = first.stdout.split("Reference minus other model")[1]
    (row,) = [cells for cells in map(str.split, lead.splitlines()) if cells[:1] == ["grid-residual"]]
    assert float(row[1]) > 0

    def trained_again(*_, **__):
        raise AssertionError

    monkeypatch.setattr(comparison, "train", trained_again)
    again = CliRunner().invoke(main, ARGUMENTS)
    assert again.stdout == first.stdout


def test_benchmark_rejects_an_unknown_recipe(site):
    result = CliRunner().invoke(main, ["benchmark", "--recipe", "soup", "--patients", "20", "--test-joints", "100"])
    assert result.exit_code == 9
    assert "no recipe 'soup'" in result.stderr
    assert not site.exists()
