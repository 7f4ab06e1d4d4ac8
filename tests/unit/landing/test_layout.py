import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from fsspec.registry import _registry
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import InvalidRequest
from scoring.landing.layout import closed_batches, landing_root, parse_image_name
from scoring.settings import IMAGE_PATTERN

PATTERN = re.compile(IMAGE_PATTERN)


@pytest.mark.parametrize(
    ("file_name", "radiograph", "joint"),
    [
        ("1.2.840.113619.2_hand_left_1.jpg", "1.2.840.113619.2", "hand_left_1"),
        ("1.2.3_foot_right_5.jpeg", "1.2.3", "foot_right_5"),
        ("radiograph-07_wrist_left.jpg", "radiograph-07", "wrist_left"),
    ],
)
def test_parse_image_name_returns_radiograph_and_joint(file_name: str, radiograph: str, joint: str) -> None:
    assert parse_image_name(file_name, PATTERN) == (radiograph, joint)


@pytest.mark.parametrize(
    "file_name",
    [
        "notes.txt",
        "1.2.3_hand_left_1.png",
        "1.2.3_hand_left_1.jpg.part",
        "1.2.3_knee_left_1.jpg",
        "../1.2.3_hand_left_1.jpg",
        "..%2F1.2.3_hand_left_1.jpg",
        "..\\1.2.3_hand_left_1.jpg",
        "/etc/1.2.3_hand_left_1.jpg",
        "1..3_hand_left_1.jpg",
        "1.2.3_hand_left_1.jpg\0.txt",
        "1.2.3_hand_left_1.jpg\n",
        "1" * 300 + "_hand_left_1.jpg",
    ],
)
def test_parse_image_name_of_other_names_is_none(file_name: str) -> None:
    assert parse_image_name(file_name, PATTERN) is None


@given(st.text(max_size=40), st.sampled_from(["..", "/", "\\", "%", "\0", "\n"]), st.text(max_size=40))
def test_parse_image_name_rejects_unsafe_names_with_any_pattern(before: str, unsafe: str, after: str) -> None:
    anything = re.compile(r"(?P<sop_iuid>[\s\S]*)(?P<joint>)")
    assert parse_image_name(before + unsafe + after, anything) is None


def test_landing_root_is_absolute_if_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert landing_root("var/landing").path == str(tmp_path / "var/landing")


def test_landing_root_rejects_a_password_without_repeating_it() -> None:
    with pytest.raises(InvalidRequest, match="SCORING_LANDING_URL contains a password") as rejected:
        landing_root("sftp://extractor:hunter2@pacs.example/landing")
    assert "hunter2" not in str(rejected.value)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("s3://bucket/landing", r"pip install bone-erosion-scoring\[s3\]"),
        ("sftp://pacs.example/landing", r"pip install bone-erosion-scoring\[sftp\]"),
        ("ssh://pacs.example/landing", r"pip install bone-erosion-scoring\[sftp\]"),
        ("gs://bucket/landing", "gcsfs"),
        ("nowhere://bucket/landing", "this protocol is not supported"),
    ],
)
@pytest.mark.parametrize("opens", [landing_root, lambda url: closed_batches(url, "_SUCCESS")])
def test_landing_root_and_closed_batches_report_a_missing_file_system(
    url: str, remedy: str, opens: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The packages may be installed on this machine.
    for module in ("s3fs", "gcsfs", "paramiko", "fsspec.implementations.sftp"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(_registry, url.partition(":")[0], raising=False)
    with pytest.raises(InvalidRequest, match=rf"SCORING_LANDING_URL is a {url.partition(':')[0]}:// URL.*{remedy}"):
        opens(url)


def test_closed_batches_are_the_dated_folders_with_a_marker(landing: Path, write_batch: Callable[..., Path]) -> None:
    write_batch(date(2026, 11, 21), {})
    write_batch(date(2026, 11, 3), {"joints/a.jpg": b""})
    write_batch(date(2026, 11, 20), {}, closed=False)
    for name in ("20261119", "2026-11-31", "archive"):
        (landing / name).mkdir()
        (landing / name / "_SUCCESS").touch()
    (landing / "2026-11-18").touch()
    assert closed_batches(str(landing), "_SUCCESS") == [date(2026, 11, 3), date(2026, 11, 21)]
    assert closed_batches(str(landing / "missing"), "_SUCCESS") == []
