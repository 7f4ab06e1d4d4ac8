"""`scoring benchmark` for real, as small as it gets: draw, train, compare, and go on where it was stopped."""

import pytest
from click.testing import CliRunner

from scoring.cli import main
from scoring.model_store.store import SHIPPED_VERSION
from scoring.settings import get_settings
from scoring.training.benchmark.comparison import contest

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


def test_a_recipe_and_the_shipped_model_side_by_side(site, monkeypatch):
    first = CliRunner().invoke(main, ARGUMENTS)
    assert first.exit_code == 0, first.output
    assert "200 synthetic joints" in first.stdout
    assert "says nothing about real patients" in first.stdout
    for name in (
        f"{SHIPPED_VERSION}, as stored", f"{SHIPPED_VERSION}, tempered", f"{SHIPPED_VERSION}, isotonic",
        "grid-residual", "grid-residual, mirrored too", "grid-residual, with its radiograph",
    ):  # fmt: skip
        assert name in first.stdout
    # One epoch on a dozen patients teaches nothing: the shipped model is ahead of it, whatever the joints.
    behind = first.stdout.split("How far one is ahead")[1]
    (row,) = [cells for cells in map(str.split, behind.splitlines()) if cells[:1] == ["grid-residual"]]
    assert float(row[1]) > 0

    def trained_again(*_, **__):
        raise AssertionError

    monkeypatch.setattr(contest, "train", trained_again)
    again = CliRunner().invoke(main, ARGUMENTS)
    assert again.stdout == first.stdout


def test_a_recipe_that_is_not_known_is_an_error_in_words(site):
    said = CliRunner().invoke(main, ["benchmark", "--recipe", "soup", "--patients", "20", "--test-joints", "100"])
    assert said.exit_code == 9
    assert "no recipe 'soup'" in said.stderr
    assert not site.exists()
