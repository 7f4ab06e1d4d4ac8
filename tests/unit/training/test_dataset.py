import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import BadInput
from scoring.training.data.joint_set import SPLITS, JointSet, cached, snapshot_sha256, split, split_of
from scoring.training.sampling import sample_epoch


def _joints(n, seed=0):
    rng = np.random.default_rng(seed)
    reading = rng.choice([0, 0, 0, 5, 30, 50, 70, 90], n).astype(np.float32)
    return JointSet(
        images=rng.integers(0, 256, (n, 4, 4), dtype=np.uint8),
        reading=reading,
        truth=reading + 1,
        patient_id=np.array([f"{i // 3:05d}" for i in range(n)]),
        joint=np.array([f"hand_left_{i % 10 + 1}" for i in range(n)]),
        sop_iuid=np.array([f"2.25.{i // 3}" for i in range(n)]),
        year=np.full(n, 2016),
    )


@pytest.mark.parametrize(("patient_id", "expected"), [("00001", "train"), ("00007", "validation"), ("00000", "test")])
def test_split_never_changes(patient_id, expected):
    """Frozen examples: changing the rule would move patients between the sets of models already trained."""
    assert split_of(patient_id) == expected


def test_leading_zeros_count():
    assert len({split_of(f"{'0' * i}7") for i in range(12)}) > 1


def test_shares_are_70_20_10():
    parts = [split_of(f"patient-{i}") for i in range(20_000)]
    shares = [parts.count(name) / len(parts) for name in SPLITS]
    assert shares == pytest.approx([0.70, 0.20, 0.10], abs=0.01)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=30))
def test_no_patient_is_in_two_parts_and_no_joint_is_lost(patients):
    n = len(patients)
    joints = JointSet(
        np.zeros((n, 2, 2), np.uint8), np.zeros(n, np.float32), np.zeros(n, np.float32), np.array(patients),
        np.array(["hand_left_1"] * n), np.array(["2.25.1"] * n), np.full(n, 2016),
    )  # fmt: skip
    parts = split(joints)
    assert sum(map(len, parts.values())) == n
    members = [set(part.patient_id) for part in parts.values()]
    assert not members[0] & members[1]
    assert not (members[0] | members[1]) & members[2]


def test_snapshot_hash_sees_every_field():
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


def test_arrays_of_unequal_length_are_refused():
    joints = _joints(6)
    with pytest.raises(ValueError, match="'reading': 5"):
        JointSet(**{**vars(joints), "reading": joints.reading[:5]})


def test_cache_is_made_once(tmp_path):
    calls = []
    path = tmp_path / "deep" / "set.npz"
    first = cached(path, lambda: calls.append(1) or _joints(5))
    again = cached(path, lambda: calls.append(1) or _joints(5))
    assert len(calls) == 1
    assert snapshot_sha256(first) == snapshot_sha256(again)
    assert [p.name for p in path.parent.iterdir()] == ["set.npz"]


def test_a_damaged_cache_is_named(tmp_path):
    path = tmp_path / "set.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(BadInput, match=r"set.npz.*delete the file"):
        cached(path, lambda: _joints(5))


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 5),
)
def test_an_epoch_shows_as_many_joints_as_there_are(grades, balance, seed):
    order = sample_epoch(np.array(grades), balance, np.random.default_rng(seed))
    assert len(order) == len(grades)
    if balance == 0:
        assert sorted(order) == list(range(len(grades)))


def test_balance_brings_rare_grades_up():
    grades = np.array([0] * 900 + [1] * 90 + [5] * 10)
    shown = {
        balance: np.bincount(grades[sample_epoch(grades, balance, np.random.default_rng(0))], minlength=6)
        for balance in (0.0, 0.5, 1.0)
    }
    assert shown[0.0].tolist() == [900, 90, 0, 0, 0, 10]
    # sqrt(900) : sqrt(90) : sqrt(10)
    assert shown[0.5] / 1000 == pytest.approx([0.703, 0.222, 0, 0, 0, 0.074], abs=0.002)
    assert shown[1.0] / 1000 == pytest.approx([1 / 3, 1 / 3, 0, 0, 0, 1 / 3], abs=0.002)


def test_every_rare_joint_comes_equally_often():
    grades = np.array([0] * 970 + [3] * 30)
    order = sample_epoch(grades, 1.0, np.random.default_rng(1))
    times = np.bincount(order, minlength=1000)[970:]
    assert times.max() - times.min() <= 1
    assert times.min() >= 16


def test_split_uses_sha256_of_the_id():
    fraction = int(hashlib.sha256(b"00007").hexdigest()[:16], 16) / 2**64
    assert 0.70 <= fraction < 0.90
