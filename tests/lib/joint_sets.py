"""Builders of joint sets and predictions for tests."""

import numpy as np

from scoring.networks.readout import N_POINTS
from scoring.training.data.joint_set import JointSet, split

# One percentage of erosion within each grade.
PERCENT_OF_GRADE = np.array([0, 10, 30, 50, 70, 90], np.float32)


def joint_set(reading, *, joints_per_patient=4, **fields):
    """Return joints with these readings in percent; other fields have default values unless they are given.

    By default, the truth is the reading, and each patient has one radiograph.
    """
    reading = np.asarray(reading, np.float32)
    n = len(reading)
    patient_id = fields.get("patient_id", np.array([f"{i // joints_per_patient:05d}" for i in range(n)], np.str_))
    defaults = {
        "images": np.zeros((n, 4, 4), np.uint8),
        "reading": reading,
        "truth": reading,
        "joint": np.full(n, "hand_left_1"),
        "sop_iuid": np.char.add("2.25.", patient_id),
        "year": np.full(n, 2016),
    }
    return JointSet(**defaults | {"patient_id": patient_id} | fields)


def radiograph_set(reading, *, joints_per_radiograph=5, radiographs_per_patient=2):
    """Return joints on radiographs of several joints, of alternating sides and years, with different brightnesses."""
    n = len(reading)
    radiograph = np.arange(n) // joints_per_radiograph
    sides = np.where(radiograph % 2, "left", "right")
    return joint_set(
        reading,
        images=np.broadcast_to((np.arange(n) * 77 % n).astype(np.uint8)[:, None, None], (n, 4, 4)),
        patient_id=np.array([f"{number // radiographs_per_patient:05d}" for number in radiograph]),
        joint=np.array([f"hand_{side}_{i % joints_per_radiograph + 1}" for i, side in enumerate(sides)]),
        sop_iuid=np.array([f"2.25.{number}" for number in radiograph]),
        year=2010 + radiograph % radiographs_per_patient,
    )


def bar_joints(side, n=200, seed=0):
    """Return the three parts of a set whose erosion is the height of a bright bar."""
    rng = np.random.default_rng(seed)
    reading = rng.choice([0, 0, 10, 30, 50, 70, 90], n).astype(np.float32)
    images = rng.integers(0, 40, (n, side, side), dtype=np.uint8)
    for image, percent in zip(images, reading, strict=True):
        image[: round(percent * side / 100)] = 200
    return split(joint_set(reading, images=images))


def certain_cdf(percent):
    """Return distribution functions with all probability on one percentage each, float32 `(n, 101)`."""
    return (np.arange(N_POINTS) >= np.asarray(percent)[:, np.newaxis]).astype(np.float32)
