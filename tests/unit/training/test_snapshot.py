"""Which reading of a joint counts, and which images do."""

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
from scoring.training.data.snapshot import READ_DIFFERENTLY, latest_readings, take_snapshot

LIMITS = {"max_bad_share": 0.25, "min_rows_for_bad_share": 8}


def jpeg(level):
    buffer = BytesIO()
    Image.fromarray(np.tile(np.arange(60, dtype=np.uint8), (50, 1)) + np.uint8(level)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def readings(tmp_path):
    """Ten joints of five radiographs, each read once."""
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
    """The same with a later reading of joint i."""
    again = readings.iloc[[i]].assign(reading_percent=percent)
    return pd.concat([readings.iloc[: i + 1], again, readings.iloc[i + 1 :]], ignore_index=True)


def test_what_was_read_is_what_is_learnt_from(readings):
    taken = take_snapshot(readings, **LIMITS)
    joints = taken.joints
    assert (taken.excluded, taken.refused, taken.conflicting, taken.n_discordant) == ({}, [], [], 0)
    assert joints.reading.tolist() == [10.0 * i for i in range(10)]
    assert np.isnan(joints.truth).all()
    assert list(joints.patient_id) == list(readings["patient_id"])
    assert list(joints.sop_iuid) == list(readings["sop_iuid"])
    assert joints.year.tolist() == list(readings["year"])
    assert (joints.images.dtype, joints.images.shape) == (np.uint8, (10, 128, 128))
    seventh = to_network_input(decode_grey(jpeg(70)))
    np.testing.assert_array_equal(joints.images[7], seventh)


def test_the_same_data_give_the_same_hash(readings):
    one, other = (snapshot_sha256(take_snapshot(readings, **LIMITS).joints) for _ in range(2))
    assert one == other
    assert snapshot_sha256(take_snapshot(reread(readings, 2, 25.0), **LIMITS).joints) != one


def test_the_latest_reading_counts(readings):
    taken = take_snapshot(reread(readings, 3, 35.0), **LIMITS)
    assert taken.joints.reading[3] == 35.0
    assert (len(taken.joints), taken.n_discordant) == (10, 1)
    # Twice the same is no difference.
    assert take_snapshot(reread(readings, 3, 30.0), **LIMITS).n_discordant == 0


def test_readings_that_contradict_each_other_are_left_out_and_named(readings):
    taken = take_snapshot(reread(readings, 3, 75.0), **LIMITS)
    assert taken.excluded == {READ_DIFFERENTLY: 1}
    assert taken.conflicting == [("1.2.1", "hand_left_2")]
    assert (len(taken.joints), taken.n_discordant) == (9, 0)
    # One grade apart is a border case; a third reading heals nothing.
    assert len(take_snapshot(reread(readings, 3, 45.0), **LIMITS).joints) == 10
    assert len(take_snapshot(reread(reread(readings, 3, 75.0), 4, 30.0), **LIMITS).joints) == 9


@given(st.lists(st.lists(st.sampled_from(range(0, 101, 5)), min_size=1, max_size=4), max_size=6))
def test_every_joint_is_taken_once_or_left_out_once(read):
    rows = [(f"1.{i}", "hand_left_1", float(p)) for i, percents in enumerate(read) for p in percents]
    chosen = latest_readings(pd.DataFrame(rows, columns=["sop_iuid", "joint", "reading_percent"]))
    apart = [i for i, p in enumerate(read) if np.ptp(ratingen.grade(np.array(p, float))) >= 2]
    assert list(chosen.conflicting["sop_iuid"]) == [f"1.{i}" for i in apart]
    kept = [i for i in range(len(read)) if i not in apart]
    assert list(chosen.joints["sop_iuid"]) == [f"1.{i}" for i in kept]
    assert list(chosen.joints["reading_percent"]) == [read[i][-1] for i in kept]
    assert chosen.n_discordant == sum(len(set(read[i])) > 1 for i in kept)


def test_images_that_cannot_be_used_are_left_out_by_reason(readings, tmp_path):
    paths = [tmp_path / name for name in ("1.2.0_hand_left_1.jpg", "1.2.0_hand_left_2.jpg")]
    paths[0].unlink()
    paths[1].write_bytes(jpeg(3))
    taken = take_snapshot(readings, **LIMITS)
    assert taken.excluded == {"image changed": 1, "image gone": 1}
    assert [each.uri for each in taken.refused] == [str(path) for path in paths]
    assert taken.joints.reading.tolist() == [10.0 * i for i in range(2, 10)]


def test_an_image_that_was_damaged_before_it_was_hashed_is_left_out(readings, tmp_path):
    path = tmp_path / "1.2.0_hand_left_1.jpg"
    path.write_bytes(jpeg(0)[:200])
    readings.loc[0, "image_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert take_snapshot(readings, **LIMITS).excluded == {"image damaged": 1}


def test_too_many_bad_images_stop_the_snapshot(readings, tmp_path):
    for i in range(3):
        (tmp_path / f"1.2.{i}_hand_left_1.jpg").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"3 of 10 images .* \(30%, allowed are 25%\): image changed: 3. For example"):
        take_snapshot(readings, **LIMITS)
    # Of few images, a few are no systematic failure.
    assert len(take_snapshot(readings, max_bad_share=0.25, min_rows_for_bad_share=11).joints) == 7


def test_a_storage_that_is_gone_is_no_bad_data(readings, tmp_path):
    many = pd.concat([readings.assign(sop_iuid=readings["sop_iuid"] + f".{i}") for i in range(2)], ignore_index=True)
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    with pytest.raises(StorageUnavailable, match="none of the 20 images"):
        take_snapshot(many, **LIMITS)


def test_no_readings_are_an_empty_set(readings):
    taken = take_snapshot(readings[:0], **LIMITS)
    assert len(taken.joints) == 0
    assert snapshot_sha256(taken.joints)


def test_progress_ends_at_the_total(readings):
    seen = []
    take_snapshot(readings, **LIMITS, on_image=lambda *done: seen.append(done))
    assert seen == [(10, 10)]
