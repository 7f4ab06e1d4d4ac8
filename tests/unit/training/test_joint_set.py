import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import BadInput
from scoring.training.data.joint_set import (
    SPLITS,
    JointSet,
    read_joint_set,
    snapshot_sha256,
    split,
    split_of,
    write_joint_set,
)
from tests.lib.joint_sets import joint_set


def _joints(n):
    rng = np.random.default_rng(0)
    reading = rng.choice([0, 0, 0, 5, 30, 50, 70, 90], n).astype(np.float32)
    images = rng.integers(0, 256, (n, 4, 4), dtype=np.uint8)
    names = np.array([f"hand_left_{i % 10 + 1}" for i in range(n)])
    return joint_set(reading, images=images, truth=reading + 1, joint=names, joints_per_patient=3)


@pytest.mark.parametrize(("patient_id", "expected"), [("00001", "train"), ("00007", "validation"), ("00000", "test")])
def test_split_of_never_changes(patient_id, expected):
    """Fixed examples: another rule would move patients between the sets of models that exist."""
    assert split_of(patient_id) == expected


def test_split_of_distinguishes_leading_zeros():
    assert len({split_of(f"{'0' * i}7") for i in range(12)}) > 1


def test_split_of_has_shares_of_70_20_10():
    parts = [split_of(f"patient-{i}") for i in range(20_000)]
    shares = [parts.count(name) / len(parts) for name in SPLITS]
    assert shares == pytest.approx([0.70, 0.20, 0.10], abs=0.01)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=30))
def test_split_separates_patients_and_loses_no_joint(patients):
    parts = split(joint_set(np.zeros(len(patients)), patient_id=np.array(patients)))
    assert sum(map(len, parts.values())) == len(patients)
    members = [set(part.patient_id) for part in parts.values()]
    assert not members[0] & members[1]
    assert not (members[0] | members[1]) & members[2]


def test_snapshot_sha256_depends_on_every_field():
    joints = _joints(9)
    hashes = {snapshot_sha256(joints)}
    for name in ("images", "reading", "truth", "year"):
        values = getattr(joints, name).copy()
        values.flat[-1] += 1
        hashes.add(snapshot_sha256(JointSet(**{**vars(joints), name: values})))
    for name in ("patient_id", "joint", "sop_iuid"):
        values = getattr(joints, name).copy()
        values[0] = values[-1]
        hashes.add(snapshot_sha256(JointSet(**{**vars(joints), name: values})))
    assert len(hashes) == 8
    assert snapshot_sha256(_joints(9)) in hashes


def test_joint_set_rejects_arrays_of_different_lengths():
    joints = _joints(6)
    with pytest.raises(ValueError, match="'reading': 5"):
        JointSet(**{**vars(joints), "reading": joints.reading[:5]})


def test_write_joint_set_is_read_back_unchanged(tmp_path):
    path = tmp_path / "deep" / "set.npz"
    write_joint_set(path, _joints(5))
    assert snapshot_sha256(read_joint_set(path)) == snapshot_sha256(_joints(5))
    assert [p.name for p in path.parent.iterdir()] == ["set.npz"]


def test_read_joint_set_rejects_a_damaged_file(tmp_path):
    path = tmp_path / "set.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(BadInput, match=r"set.npz is not a stored joint set .* Delete the file"):
        read_joint_set(path)


def test_split_of_uses_sha256_of_the_id():
    fraction = int(hashlib.sha256(b"00007").hexdigest()[:16], 16) / 2**64
    assert 0.70 <= fraction < 0.90
