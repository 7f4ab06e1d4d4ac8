"""The command line: what it prints, where, and with which exit code."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from scoring import errors
from scoring.cli import main
from scoring.model_store.store import SHIPPED_VERSION
from scoring.phantom.faults import FAULTS
from scoring.settings import get_settings
from scoring.warehouse.queries import checksum
from tests.lib.history import BATCHES, OTHER

BATCH = BATCHES[2]


@pytest.fixture
def installation(monkeypatch):
    """Makes the function that runs a command of `scoring` in this process, on an installation."""
    from scoring.warehouse import connect

    def commands_on(var_dir, warehouse):
        monkeypatch.setenv("SCORING_VAR_DIR", str(var_dir))
        monkeypatch.setenv("SCORING_WAREHOUSE_URL", warehouse.job_url)
        monkeypatch.setenv("SCORING_MIGRATION_URL", warehouse.owner_url)
        monkeypatch.setenv("SCORING_CODE_REVISION", "test")
        monkeypatch.setenv("SCORING_BATCH_SIZE", "10")
        get_settings.cache_clear()
        return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])

    yield commands_on
    get_settings.cache_clear()
    connect._engine.cache_clear()


@pytest.fixture
def scoring(installation, tmp_path, warehouse):
    """Runs a command on an empty installation."""
    return installation(tmp_path / "var", warehouse)


@pytest.fixture
def scoring_history(installation, history):
    """Runs a command on an installation with two scored batches and a third one."""
    return installation(history.site.var_dir, history.warehouse)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_example_in_the_help_is_a_valid_call(command):
    # The example of `pending` is a loop around it.
    (example,) = re.findall(rf"Example: .*?scoring ({command}\b[^\n;)]*)", main.commands[command].help)
    name, *arguments = shlex.split(example)
    # A usage error is an exception; every option of the example has a value.
    understood = main.commands[name].make_context(name, arguments).params
    assert len([value for value in understood.values() if value]) >= len([a for a in arguments if a.startswith("--")])


def test_retrain_and_train_have_the_defaults_and_metrics_of_training():
    from scoring.training.evaluation.challenge import METRICS
    from scoring.training.recipes import BEST

    (metric,) = [option for option in main.commands["retrain"].params if option.name == "metric"]
    assert metric.default == METRICS[0]
    assert all(name in metric.help for name in METRICS[1:])
    (recipe,) = [option for option in main.commands["train"].params if option.name == "recipe"]
    assert recipe.default == BEST


def test_associate_offers_the_strata_of_the_analysis():
    from scoring.analysis.association import STRATA

    (by,) = [option for option in main.commands["associate"].params if option.name == "stratum_kind"]
    assert tuple(by.type.choices) == STRATA


def test_help_lists_a_separate_exit_code_for_every_error():
    kinds = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, Exception)]
    codes = {error.exit_code for error in kinds}
    assert len(codes) == len(kinds)
    shown = CliRunner().invoke(main, ["--help"]).output
    assert set(re.findall(r" (\d+) [a-z]", shown)) >= {str(code) for code in codes}


def test_phantom_writes_batches_that_are_pending(scoring):
    written = scoring("phantom", "--patients", 3, "--batches", 2, "--last-batch", "2026-11-21")
    assert written.exit_code == 0, written.output
    assert "No synthetic batch was written" in scoring("phantom", "--if-empty").stderr
    assert scoring("pending").stdout.split() == ["2026-11-20", "2026-11-21"]


def test_nightly_prints_its_counts_and_other_commands_its_results(scoring_history):
    assert scoring_history("pending").stdout.split() == [str(BATCH)]
    nightly = scoring_history("nightly", "--date", BATCH)
    assert nightly.exit_code == 0, nightly.output
    counts = json.loads(nightly.stdout)
    assert counts["batch_date"] == str(BATCH)
    assert counts["images"]["scored"] == counts["received"]["images"] > 0
    assert Path(counts["report"]).exists()

    shown = scoring_history("status", "--checksum").stdout
    for text in ("succeeded", "scoring.joint_prediction", "psql", counts["report"]):
        assert text in shown
    assert "das28_esr4" in scoring_history("correlate", "--as-of", BATCH).stdout
    assert "within_90_days" in scoring_history("associate", "--as-of", BATCH).stdout
    Path(counts["report"]).unlink()
    assert scoring_history("report", "--date", BATCH).stdout.strip() == counts["report"]
    assert Path(counts["report"]).exists()


def test_promote_and_rescore_change_the_champion(scoring_history):
    promoted = scoring_history("promote", OTHER, "--reason", "better").stdout
    assert f"{OTHER} is promoted. Run `scoring rescore`" in promoted
    assert f"until then the views show {SHIPPED_VERSION}" in promoted
    assert f"images for {OTHER}: run `scoring rescore`" in scoring_history("status").stdout
    rescored = scoring_history("rescore")
    assert rescored.exit_code == 0, rescored.output
    counts = json.loads(rescored.stdout)
    assert counts["planned"] == counts["scored"] > 0
    assert "waiting" not in scoring_history("status").stdout
    back = scoring_history("promote", SHIPPED_VERSION, "--reason", "back again").stdout
    assert f"{SHIPPED_VERSION} is the champion" in back


def test_status_prints_json(scoring_history):
    found = json.loads(scoring_history("status", "--checksum", "--json").stdout)
    assert {"runs", "checksums", "champion", "report", "psql"} <= found.keys()
    assert [run["batch_date"] for run in found["runs"]] == [str(batch) for batch in BATCHES[:2]]
    assert {row["table"]: row["rows"] for row in found["checksums"]}["scoring.joint_prediction"] > 0


def test_info_prints_json_without_secrets(scoring, warehouse):
    shown = scoring("info", "--json")
    found = json.loads(shown.stdout)
    assert list(found) == ["versions", "settings", "engines", "warehouse"]
    settings = {row["variable"]: row["value"] for row in found["settings"]}
    assert settings["SCORING_WAREHOUSE_URL"] == "********"
    assert {row["item"] for row in found["warehouse"]} == {"server", "schema", "champion"}
    assert warehouse.job_url not in shown.stdout


def test_phantom_lists_faults_as_json():
    found = json.loads(CliRunner().invoke(main, ["phantom", "--list-faults", "--json"]).stdout)
    assert [row["fault"] for row in found] == list(FAULTS)
    assert all(row["effect"] for row in found)


@pytest.mark.parametrize(
    ("fault", "exit_code", "says"), [("missing_column", 3, "patient_id"), ("no_success", 4, "_SUCCESS")]
)
def test_nightly_of_a_batch_that_stops_publishes_nothing(scoring, warehouse, fault, exit_code, says):
    """Exit codes 3 and 4. Each fault of the catalogue is in tests/integration/validation/test_faults.py."""
    scoring("phantom", "--patients", 2, "--batches", 1, "--last-batch", BATCH, "--fault", fault)
    nightly = scoring("nightly", "--date", BATCH)
    assert nightly.exit_code == exit_code
    assert says in nightly.stderr
    assert nightly.stdout == ""
    (run,) = json.loads(scoring("status", "--json").stdout)["runs"]
    assert run["status"] == "failed"
    assert {rows for rows, _ in checksum.checksums(warehouse.engine()).values()} == {0}


def test_invalid_arguments_have_exit_codes_2_7_and_9(scoring):
    assert scoring("nightly", "--date", "21.11.2026").exit_code == 2
    assert scoring("promote", "no-such-model", "--reason", "x").exit_code == 7
    assert scoring("card", "--version", "no-such-model").exit_code == 7
    assert scoring("rescore").exit_code == 9
    unknown = scoring("phantom", "--fault", "meteorite")
    assert unknown.exit_code == 9
    assert "meteorite" in unknown.stderr
    recipe = scoring("retrain", "--recipe", "cold-fusion")
    assert recipe.exit_code == 9
    assert "cold-fusion" in recipe.stderr


def test_retrain_without_a_batch_is_bad_input(scoring):
    rejected = scoring("retrain", "--recipe", "regression-plain")
    assert rejected.exit_code == 3
    assert "There are no readings" in rejected.stderr


def test_status_of_an_unreachable_warehouse_has_exit_code_5(scoring, monkeypatch):
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", "postgresql://job@127.0.0.1:1/nowhere")
    get_settings.cache_clear()
    failed = scoring("status")
    assert failed.exit_code == 5
    assert "127.0.0.1" in failed.stderr


def test_nightly_on_an_empty_database_has_exit_code_6(scoring, postgres, monkeypatch):
    empty = sa.make_url(postgres.superuser_url).set(database="postgres").render_as_string()
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", empty)
    get_settings.cache_clear()
    failed = scoring("nightly", "--date", BATCH)
    assert failed.exit_code == 6
    assert "scoring migrate" in failed.stderr


def test_promote_and_migrate_and_card_on_an_empty_installation(scoring):
    first = scoring("promote", SHIPPED_VERSION, "--reason", "the only one").stdout
    assert f"{SHIPPED_VERSION} is the champion" in first
    assert scoring("migrate").stdout.strip() == "the warehouse is up to date"
    written = scoring("card")
    assert written.exit_code == 0, written.output
    html, markdown = written.stdout.split()
    assert Path(html).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert Path(markdown).read_text(encoding="utf-8").startswith(f"# Model card: {SHIPPED_VERSION}")


@pytest.mark.slow
def test_installed_command_runs_a_batch_on_the_embedded_server_without_training_or_phantom(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCORING_")}
    environment |= {"SCORING_VAR_DIR": str(tmp_path / "var"), "SCORING_BATCH_SIZE": "10"}
    # Run by root, the server is another user, who must be able to enter pytest's folder.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o711)
    scoring = Path(sys.executable).parent / "scoring"

    def run(*arguments, python=()):
        return subprocess.run([*python, scoring, *arguments], env=environment, capture_output=True, text=True)

    try:
        assert "psql" in run("up").stdout
        assert "applied" in run("migrate").stdout
        assert run("phantom", "--patients", "2", "--batches", "1", "--last-batch", BATCH.isoformat()).returncode == 0
        nightly = run("nightly", "--date", BATCH.isoformat(), python=(sys.executable, "-X", "importtime"))
        assert nightly.returncode == 0, nightly.stderr
        imported = set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", nightly.stderr, re.MULTILINE))
        assert {"scoring.pipeline.nightly", "scoring.inference.scorer", "scoring.report.nightly"} <= imported
        assert not {name for name in imported if re.match(r"scoring\.(training|phantom)\b", name)}

        psql = run("status").stdout.split("psql", 1)[1].split()
        deleted = subprocess.run([*psql, "-c", "DELETE FROM registry.consultation"], capture_output=True, text=True)
        assert "permission denied" in deleted.stderr
        count = "SELECT count(*) FROM analyst.rau_by_visit"
        read = subprocess.run([*psql, "-Atc", count], capture_output=True, text=True)
        assert int(read.stdout) > 0
    finally:
        assert run("down").stdout.strip() == "stopped"
