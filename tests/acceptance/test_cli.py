"""The command line as a person meets it: what it prints, where, and with which exit code."""

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from scoring import errors
from scoring.cli import main
from scoring.model_store.store import SHIPPED_VERSION
from scoring.settings import get_settings
from tests.lib.models import write_other_model

NIGHT = date(2026, 11, 21)
SCORING = Path(sys.executable).parent / "scoring"


@pytest.fixture
def scoring(tmp_path, warehouse, monkeypatch):
    """Run a command of `scoring` in this process, on an empty installation."""
    from scoring.warehouse import connect

    monkeypatch.setenv("SCORING_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", warehouse.job_url)
    monkeypatch.setenv("SCORING_MIGRATION_URL", warehouse.owner_url)
    monkeypatch.setenv("SCORING_CODE_REVISION", "test")
    get_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])
    get_settings.cache_clear()
    connect._engine.cache_clear()


def commands():
    return sorted(main.commands)


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(command):
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert "Example: " in shown.output


@pytest.mark.parametrize("command", commands())
def test_the_example_is_a_call_that_the_command_takes(command):
    # That of `pending` is a loop around it.
    (example,) = re.findall(rf"Example: .*?scoring ({command}\b[^\n;)]*)", main.commands[command].help)
    name, *arguments = shlex.split(example)
    # A usage error is an exception; what was understood is at least every option that the example gives.
    understood = main.commands[name].make_context(name, arguments).params
    assert len([value for value in understood.values() if value]) >= len([a for a in arguments if a.startswith("--")])


def test_defaults_and_metrics_written_out_in_the_command_line_are_those_of_training():
    from scoring.training.evaluation.challenge import METRICS
    from scoring.training.recipes import BEST

    (metric,) = [option for option in main.commands["retrain"].params if option.name == "metric"]
    assert metric.default == METRICS[0]
    assert all(name in metric.help for name in METRICS[1:])
    (recipe,) = [option for option in main.commands["train"].params if option.name == "recipe"]
    assert recipe.default == BEST


def test_the_strata_of_the_command_line_are_those_of_the_analysis():
    from scoring.analysis.association import STRATA

    (by,) = [option for option in main.commands["associate"].params if option.name == "stratum_kind"]
    assert tuple(by.type.choices) == STRATA


def test_every_kind_of_failure_has_an_exit_code_of_its_own_in_the_help():
    kinds = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)]
    codes = {error.exit_code for error in kinds}
    assert len(codes) == len(kinds)
    shown = CliRunner().invoke(main, ["--help"]).output
    assert set(re.findall(r" (\d+) [a-z]", shown)) >= {str(code) for code in codes}


def test_a_day_with_the_command_line(scoring, tmp_path):
    written = scoring("phantom", "--patients", 6, "--nights", 2, "--last-night", NIGHT)
    assert written.exit_code == 0, written.output
    assert "no synthetic night was written" in scoring("phantom", "--if-empty").stderr
    assert scoring("pending").stdout.split() == ["2026-11-20", "2026-11-21"]

    night = scoring("nightly", "--date", "2026-11-20")
    assert night.exit_code == 0, night.output
    counts = json.loads(night.stdout)
    assert counts["batch_date"] == "2026-11-20"
    assert Path(counts["report"]).exists()

    assert scoring("pending").stdout.split() == ["2026-11-21"]
    shown = scoring("status", "--digest").stdout
    assert "succeeded" in shown
    assert "scoring.joint_prediction" in shown
    assert "psql" in shown
    assert "das28_esr4" in scoring("correlate", "--as-of", "2026-11-20").stdout
    assert "within_90_days" in scoring("associate", "--as-of", "2026-11-20").stdout
    assert scoring("report", "--date", "2026-11-20").stdout.strip() == counts["report"]


def test_a_new_champion_by_the_command_line(scoring, tmp_path):
    other = write_other_model(str(tmp_path / "var" / "models"))
    first = scoring("promote", SHIPPED_VERSION, "--reason", "the only one").stdout
    assert f"{SHIPPED_VERSION} is the champion" in first
    scoring("phantom", "--patients", 4, "--nights", 1, "--last-night", NIGHT)
    assert scoring("nightly", "--date", NIGHT).exit_code == 0

    promoted = scoring("promote", other, "--reason", "better").stdout
    assert f"{other} is promoted; `scoring rescore`" in promoted
    assert f"until then views show {SHIPPED_VERSION}" in promoted
    assert f"images for {other}: `scoring rescore`" in scoring("status").stdout
    rescored = scoring("rescore")
    assert rescored.exit_code == 0, rescored.output
    counts = json.loads(rescored.stdout)
    assert counts["planned"] == counts["scored"] > 0
    assert "waiting" not in scoring("status").stdout
    assert f"{SHIPPED_VERSION} is the champion" in scoring("promote", SHIPPED_VERSION, "--reason", "back again").stdout


@pytest.mark.parametrize(
    ("fault", "exit_code", "says"),
    [
        ("missing_column", 3, "patient_id"),
        ("empty_file", 3, "consultations.csv"),
        ("no_success", 4, "_SUCCESS"),
    ],
)
def test_a_night_that_stops_has_its_exit_code_and_its_message_on_stderr(scoring, fault, exit_code, says):
    scoring("phantom", "--patients", 6, "--nights", 1, "--last-night", NIGHT, "--fault", fault)
    night = scoring("nightly", "--date", NIGHT)
    assert night.exit_code == exit_code
    assert says in night.stderr
    assert night.stdout == ""
    assert "failed" in scoring("status").stdout


def test_what_makes_no_sense_is_refused(scoring):
    assert scoring("nightly", "--date", "21.11.2026").exit_code == 2
    unknown = scoring("phantom", "--fault", "meteorite")
    assert unknown.exit_code == 9
    assert "meteorite" in unknown.stderr
    assert scoring("promote", "no-such-model", "--reason", "x").exit_code == 7
    assert scoring("rescore").exit_code == 9
    recipe = scoring("retrain", "--recipe", "cold-fusion")
    assert recipe.exit_code == 9
    assert "no recipe 'cold-fusion'" in recipe.stderr


def test_a_retraining_without_a_night_is_bad_input(scoring):
    refused = scoring("retrain", "--recipe", "regression-plain")
    assert refused.exit_code == 3
    assert "there are no readings at all" in refused.stderr


def test_a_warehouse_that_cannot_be_reached_is_exit_code_5(scoring, monkeypatch):
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", "postgresql://job@127.0.0.1:1/nowhere")
    get_settings.cache_clear()
    refused = scoring("status")
    assert refused.exit_code == 5
    assert "127.0.0.1" in refused.stderr


def test_a_warehouse_that_was_never_migrated_is_exit_code_6(scoring, postgres, monkeypatch):
    from sqlalchemy.engine import make_url

    empty = make_url(postgres.superuser_url).set(database="postgres").render_as_string()
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", empty)
    get_settings.cache_clear()
    refused = scoring("nightly", "--date", NIGHT)
    assert refused.exit_code == 6
    assert "scoring migrate" in refused.stderr


def test_the_card_of_the_shipped_model_says_where_it_lies(scoring, tmp_path):
    written = scoring("card")
    assert written.exit_code == 0, written.output
    html, markdown = written.stdout.split()
    assert Path(html).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert Path(markdown).read_text(encoding="utf-8").startswith(f"# Model card: {SHIPPED_VERSION}")
    assert scoring("card", "--version", "no-such-model").exit_code == 7


def test_migrating_again_does_nothing(scoring):
    assert scoring("migrate").stdout.strip() == "the warehouse is up to date"


def test_the_embedded_server_lives_through_up_nightly_and_down(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCORING_")}
    # Not below pytest's own folder, which only its owner may enter: run by root, the server is somebody else.
    environment["SCORING_VAR_DIR"] = str(tmp_path / "var")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o711)

    def run(*arguments):
        return subprocess.run([SCORING, *arguments], env=environment, capture_output=True, text=True)

    try:
        assert "psql" in run("up").stdout
        assert "applied" in run("migrate").stdout
        assert run("phantom", "--patients", "5", "--nights", "1", "--last-night", "2026-11-21").returncode == 0
        night = run("nightly", "--date", "2026-11-21")
        assert night.returncode == 0, night.stderr
        psql = run("status").stdout.split("psql", 1)[1].strip()
        refused = subprocess.run(
            [*psql.split(), "-c", "DELETE FROM registry.consultation"], capture_output=True, text=True
        )
        assert "permission denied" in refused.stderr
        read = subprocess.run(
            [*psql.split(), "-Atc", "SELECT count(*) FROM analyst.rau_by_visit"], capture_output=True, text=True
        )
        assert int(read.stdout) > 0
    finally:
        assert run("down").stdout.strip() == "stopped"
