"""A replacement for the drawing of phantoms, which takes seconds per hundred joints."""

import numpy as np


def replace_drawing(monkeypatch, side=4):
    """Replace the drawing by bars whose height is the erosion: 50 joints per patient, every tenth unread.

    Returns:
        The calls so far: number of patients, seed, maximum number of images, share of enriched joints.
    """
    from scoring.phantom import training_set
    from scoring.phantom.patients import LIMB_JOINTS

    calls = []

    def make(n_patients, seed, *, max_images=None, enrich=0.0, limb="hand_left", **_):
        calls.append((n_patients, seed, max_images, enrich))
        n = min(n_patients * 50, max_images or n_patients * 50)
        rng = np.random.default_rng(seed)
        truth = rng.uniform(0, 100, n)
        images = rng.integers(0, 40, (n, side, side), dtype=np.uint8)
        for image, percent in zip(images, truth, strict=True):
            image[: round(percent * side / 100)] = 200
        columns = [joint.column for joint in LIMB_JOINTS[limb]]
        return training_set.TrainingSet(
            images=images,
            erosion_true=truth,
            erosion_read=np.where(np.arange(n) % 10 == 0, np.nan, np.round(truth / 5) * 5),
            patient_id=np.array([f"{i // 50:05d}" for i in range(n)]),
            joint=np.array([columns[i % len(columns)] for i in range(n)]),
            sop_iuid=np.array([f"1.2.{i // 10}" for i in range(n)]),
            year=np.full(n, 2016),
            enriched=rng.random(n) < enrich,
        )

    monkeypatch.setattr(training_set, "make_training_set", make)
    return calls
