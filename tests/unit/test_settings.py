import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
from pydantic import ValidationError

from scoring.errors import InvalidRequest
from scoring.settings import IMAGE_PATTERN, PACKAGE_DIR, Settings, get_settings


@pytest.fixture(autouse=True)
def _fresh_settings():
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def settings(**values):
    return Settings(_env_file=None, **values)


def test_settings_derive_local_folders_from_var_dir(tmp_path):
    found = settings(var_dir=tmp_path)
    assert found.landing_url == str(tmp_path / "landing")
    assert found.model_store_url == str(tmp_path / "models")


def test_settings_keep_a_given_url(tmp_path):
    assert settings(var_dir=tmp_path, landing_url="s3://bucket/landing").landing_url == "s3://bucket/landing"


def test_settings_treat_a_blank_variable_as_unset(monkeypatch):
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", "")
    monkeypatch.setenv("SCORING_LOOKBACK_DAYS", "")
    found = settings()
    assert found.warehouse_url is None
    assert found.lookback_days == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("image_pattern", r"(?P<radiograph>.*)\.jpg"),
        ("max_bad_share", 1.5),
        ("shard_size", 0),
        ("engine", "abacus"),
        ("lookback_days", -1),
    ],
)
def test_settings_reject_invalid_values_by_name(name, value):
    with pytest.raises(ValidationError, match=name):
        settings(**{name: value})


def test_get_settings_reports_invalid_variables_without_their_values(monkeypatch):
    monkeypatch.setenv("SCORING_TIMEZONE", "hunter2/Place")
    monkeypatch.setenv("SCORING_SHARD_SIZE", "hunter2")
    with pytest.raises(InvalidRequest) as rejected:
        get_settings()
    assert "SCORING_SHARD_SIZE" in str(rejected.value)
    assert "SCORING_TIMEZONE" in str(rejected.value)
    assert "hunter2" not in str(rejected.value)


def test_get_settings_reads_the_file_in_scoring_env_file(monkeypatch, tmp_path):
    file = tmp_path / "hospital.env"
    file.write_text("SCORING_SHARD_SIZE=7\nSCORING_BATCH_SIZE=3\n")
    monkeypatch.setenv("SCORING_ENV_FILE", str(file))
    monkeypatch.setenv("SCORING_BATCH_SIZE", "5")
    assert (get_settings().shard_size, get_settings().batch_size) == (7, 5)
    file.unlink()
    get_settings.cache_clear()
    with pytest.raises(InvalidRequest, match=r"settings file .*hospital.env does not exist"):
        get_settings()


def test_get_settings_of_an_installed_package_uses_the_working_directory(tmp_path):
    installed, work = tmp_path / "site-packages", tmp_path / "work"
    shutil.copytree(PACKAGE_DIR, installed / "scoring", ignore=shutil.ignore_patterns("shipped", "__pycache__"))
    work.mkdir()
    (work / ".env").write_text("SCORING_SHARD_SIZE=7\n")
    code = "from scoring.settings import get_settings as s; print(s().shard_size, s().landing_url, s().revision)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCORING_")}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=work,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["7", str(work / "var" / "landing"), version("bone-erosion-scoring")]


def test_settings_do_not_print_a_password():
    shown = repr(settings(warehouse_url="postgresql://job:hunter2@db/warehouse"))
    assert "hunter2" not in shown


def test_revision_is_the_configured_code_revision():
    assert settings(code_revision="abc123").revision == "abc123"


def test_revision_without_git_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert settings().revision == "unknown"


def test_image_pattern_matches_pseudonyms_and_every_kind_of_joint():
    for joint in ("hand_left_10", "hand_right_1", "foot_left_5", "wrist_right"):
        found = re.fullmatch(IMAGE_PATTERN, f"2.25.4711-a_{joint}.jpeg")
        assert found
        assert (found["sop_iuid"], found["joint"]) == ("2.25.4711-a", joint)
