import os
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
from pydantic import ValidationError

from scoring.errors import InvalidRequest
from scoring.settings import IMAGE_PATTERN, PACKAGE_DIR, Settings, get_settings


def settings(**values):
    return Settings(_env_file=None, **values)


def test_local_folders_follow_the_var_dir(tmp_path):
    found = settings(var_dir=tmp_path)
    assert found.landing_url == str(tmp_path / "landing")
    assert found.model_store_url == str(tmp_path / "models")


def test_a_url_that_is_given_wins(tmp_path):
    assert settings(var_dir=tmp_path, landing_url="s3://bucket/landing").landing_url == "s3://bucket/landing"


def test_blank_means_unset(monkeypatch):
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
def test_nonsense_is_refused_by_name(name, value):
    with pytest.raises(ValidationError, match=name):
        settings(**{name: value})


def test_a_wrong_variable_is_named_and_its_value_is_not(monkeypatch):
    monkeypatch.setenv("SCORING_TIMEZONE", "Secret/Place")
    monkeypatch.setenv("SCORING_SHARD_SIZE", "hunter2")
    get_settings.cache_clear()
    with pytest.raises(InvalidRequest) as refused:
        get_settings()
    get_settings.cache_clear()
    assert "SCORING_SHARD_SIZE" in str(refused.value)
    assert "SCORING_TIMEZONE" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_file_of_settings_may_be_named(monkeypatch, tmp_path):
    file = tmp_path / "hospital.env"
    file.write_text("SCORING_SHARD_SIZE=7\nSCORING_BATCH_SIZE=3\n")
    monkeypatch.setenv("SCORING_ENV_FILE", str(file))
    monkeypatch.setenv("SCORING_BATCH_SIZE", "5")
    get_settings.cache_clear()
    assert (get_settings().shard_size, get_settings().batch_size) == (7, 5)
    file.unlink()
    get_settings.cache_clear()
    with pytest.raises(InvalidRequest, match=r"SCORING_ENV_FILE names a file that is not there: .*hospital.env"):
        get_settings()
    get_settings.cache_clear()


def test_an_installed_package_takes_settings_and_data_from_the_working_directory(tmp_path):
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


def test_a_password_is_not_printed():
    shown = repr(settings(warehouse_url="postgresql://job:hunter2@db/warehouse"))
    assert "hunter2" not in shown


def test_the_code_revision_may_be_baked_in():
    assert settings(code_revision="abc123").revision == "abc123"


def test_without_git_the_revision_is_said_to_be_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert settings().revision == "unknown"


def test_the_pattern_takes_pseudonyms_and_every_kind_of_joint():
    import re

    for joint in ("hand_left_10", "hand_right_1", "foot_left_5", "wrist_right"):
        found = re.fullmatch(IMAGE_PATTERN, f"2.25.4711-a_{joint}.jpeg")
        assert found
        assert (found["sop_iuid"], found["joint"]) == ("2.25.4711-a", joint)
