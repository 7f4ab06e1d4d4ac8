"""Batches with erosions that a tiny network learns in seconds: a bright bar whose height is the percentage eroded.

All grades are equally frequent, and readings are exact. The phantoms' own joints take a large network minutes.
"""

from dataclasses import replace
from unittest.mock import patch

import numpy as np

PERCENTAGES = [0.0, 10.0, 30.0, 50.0, 70.0, 90.0]


def write_bar_batches(landing_url, **options):
    """Write batches as `scoring.phantom.batches.write_batches` does, with five bar joints per radiograph."""
    from scoring.phantom import batches

    with patch.object(batches, "simulate_registry", _registry), patch.object(batches, "joint_jpeg", _bar):
        return batches.write_batches(landing_url, **options)


def _registry(n_patients, seed, first_visit, years, difficulty):
    from scoring.phantom.registry import JOINT_COLUMNS, simulate_registry
    from scoring.phantom.seeds import stream

    made = simulate_registry(n_patients, seed, first_visit, years, difficulty)
    percent = stream(seed, "plain").choice(PERCENTAGES, (len(made.consultations), len(JOINT_COLUMNS)))
    percent[:, 5:] = np.nan
    made.consultations[list(JOINT_COLUMNS)] = percent
    made.consultations["rau_score"] = np.nan
    made.joints["erosion_true"] = made.joints["erosion_read"] = percent.ravel()
    return replace(made, joints=made.joints.dropna(subset=["erosion_read"]))


def _bar(seed, patient_id, sop_iuid, joint, erosion, **_):
    from simplejpeg import encode_jpeg

    from scoring.phantom.seeds import stream

    pixels = stream(seed, "bar", sop_iuid, joint).integers(0, 60, (64, 64, 1)).astype(np.uint8)
    pixels[: round(erosion * 0.64)] += 150
    return encode_jpeg(pixels, quality=90, colorspace="GRAY")
