"""The choice of readings and images for a snapshot."""

import hashlib
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scoring.clinical import ratingen
from scoring.errors import BadInput, StorageUnavailable
from scoring.imaging.decode import decode_grey
from scoring.imaging.preprocess import to_network_input
from scoring.training.data.joint_set import snapshot_sha256
from scoring.training.data.snapshot import CONFLICTING, latest_readings, take_snapshot

LIMITS = {"max_bad_share": 0.25, "min_rows_for_bad_share": 8}


def jpeg(level):
    buffer = BytesIO()
    Image.fromarray(np.tile(np.arange(60, dtype=np.uint8), (50, 1)) + np.uint8(level)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def readings(tmp_path):
    """Ten joints on five radiographs, each read once."""
    rows = []
    for i in range(10):
        path = tmp_path / f"1.2.{i // 2}_hand_left_{i % 2 + 1}.jpg"
        path.write_bytes(jpeg(10 * i))
        rows.append(
            {
                "image_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "uri": str(path),
                "sop_iuid": f"1.2.{i // 2}",
                "joint": f"hand_left_{i % 2 + 1}",
                "patient_id": f"{i // 4:05d}",
                "year": 2010 + i // 4,
                "reading_percent": 10.0 * i,
            }
        )
    return pd.DataFrame(rows)


def reread(readings, i, percent):
    """Return the readings with a later reading of joint i."""
    again = readings.iloc[[i]].assign(reading_percent=percent)
    return pd.concat([readings.iloc[: i + 1], again, readings.iloc[i + 1 :]], ignore_index=True)


def test_take_snapshot_pairs_readings_with_preprocessed_images(readings):
    taken = take_snapshot(readings, **LIMITS)
    joints = taken.joints
    assert (taken.excluded, taken.n_discordant) == ({}, 0)
    assert joints.reading.tolist() == [10.0 * i for i in range(10)]
    assert np.isnan(joints.truth).all()
    assert list(joints.patient_id) == list(readings["patient_id"])
    assert list(joints.sop_iuid) == list(readings["sop_iuid"])
    assert joints.year.tolist() == list(readings["year"])
    assert (joints.images.dtype, joints.images.shape) == (np.uint8, (10, 128, 128))
    seventh = to_network_input(decode_grey(jpeg(70)))
    np.testing.assert_array_equal(joints.images[7], seventh)


def test_take_snapshot_of_the_same_data_has_the_same_hash(readings):
    one, other = (snapshot_sha256(take_snapshot(readings, **LIMITS).joints) for _ in range(2))
    assert one == other
    assert snapshot_sha256(take_snapshot(reread(readings, 2, 25.0), **LIMITS).joints) != one


def test_take_snapshot_uses_the_latest_reading(readings):
    taken = take_snapshot(reread(readings, 3, 35.0), **LIMITS)
    assert taken.joints.reading[3] == 35.0
    assert (len(taken.joints), taken.n_discordant) == (10, 1)
    # Two equal readings are not discordant.
    assert take_snapshot(reread(readings, 3, 30.0), **LIMITS).n_discordant == 0


def test_take_snapshot_excludes_and_logs_conflicting_readings(readings, caplog):
    taken = take_snapshot(reread(readings, 3, 75.0), **LIMITS)
    assert taken.excluded == {CONFLICTING: 1}
    assert caplog.messages == [f"joint_excluded radiograph=1.2.1 joint=hand_left_2 reason={CONFLICTING}"]
    assert (len(taken.joints), taken.n_discordant) == (9, 0)
    # One grade apart is a borderline case; a third reading does not resolve a conflict.
    assert len(take_snapshot(reread(readings, 3, 45.0), **LIMITS).joints) == 10
    assert len(take_snapshot(reread(reread(readings, 3, 75.0), 4, 30.0), **LIMITS).joints) == 9


@given(st.lists(st.lists(st.sampled_from(range(0, 101, 5)), min_size=1, max_size=4), max_size=6))
def test_latest_readings_chooses_or_excludes_every_joint_once(read):
    rows = [(f"1.{i}", "hand_left_1", float(p)) for i, percents in enumerate(read) for p in percents]
    joints, conflicting, n_discordant = latest_readings(
        pd.DataFrame(rows, columns=["sop_iuid", "joint", "reading_percent"])
    )
    apart = [i for i, p in enumerate(read) if np.ptp(ratingen.grade(np.array(p, float))) >= 2]
    assert list(conflicting["sop_iuid"]) == [f"1.{i}" for i in apart]
    kept = [i for i in range(len(read)) if i not in apart]
    assert list(joints["sop_iuid"]) == [f"1.{i}" for i in kept]
    assert list(joints["reading_percent"]) == [read[i][-1] for i in kept]
    assert n_discordant == sum(len(set(read[i])) > 1 for i in kept)


def test_take_snapshot_excludes_and_logs_unusable_images(readings, tmp_path, caplog):
    paths = [tmp_path / name for name in ("1.2.0_hand_left_1.jpg", "1.2.0_hand_left_2.jpg")]
    paths[0].unlink()
    paths[1].write_bytes(jpeg(3))
    taken = take_snapshot(readings, **LIMITS)
    assert taken.excluded == {"image changed": 1, "image gone": 1}
    assert [message.split(" reason=")[0] for message in caplog.messages] == [
        f"joint_excluded file={path}" for path in paths
    ]
    assert taken.joints.reading.tolist() == [10.0 * i for i in range(2, 10)]


def test_take_snapshot_excludes_an_image_damaged_before_it_was_hashed(readings, tmp_path):
    path = tmp_path / "1.2.0_hand_left_1.jpg"
    path.write_bytes(jpeg(0)[:200])
    readings.loc[0, "image_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert take_snapshot(readings, **LIMITS).excluded == {"image damaged": 1}


def test_take_snapshot_rejects_too_many_unusable_images(readings, tmp_path):
    for i in range(3):
        (tmp_path / f"1.2.{i}_hand_left_1.jpg").write_bytes(b"no image")
    with pytest.raises(
        BadInput, match=r"3 of 10 images .* \(30%; at most 25% are tolerated\): image changed: 3\. Example: "
    ):
        take_snapshot(readings, **LIMITS)
    # The share of few images is not checked.
    assert len(take_snapshot(readings, max_bad_share=0.25, min_rows_for_bad_share=11).joints) == 7


def test_take_snapshot_reports_unavailable_storage(readings, tmp_path):
    many = pd.concat([readings.assign(sop_iuid=readings["sop_iuid"] + f".{i}") for i in range(2)], ignore_index=True)
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    with pytest.raises(StorageUnavailable, match="All 20 images of read joints are missing"):
        take_snapshot(many, **LIMITS)


def test_take_snapshot_of_no_readings_is_empty(readings):
    taken = take_snapshot(readings[:0], **LIMITS)
    assert len(taken.joints) == 0
    assert snapshot_sha256(taken.joints)


def test_take_snapshot_reports_progress_up_to_the_total(readings):
    seen = []
    take_snapshot(readings, **LIMITS, progress=lambda *call: seen.append(call))
    assert seen == [("decoding joints", 10, 10)]
