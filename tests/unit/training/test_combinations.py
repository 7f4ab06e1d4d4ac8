"""Predictions made of other predictions."""

import numpy as np
import pytest

from scoring.networks.readout import N_POINTS, read_out
from scoring.training.benchmark.combinations import Isotonic, RadiographContext, Temperature, mean_answer
from scoring.training.evaluation.metrics import crps

POINTS = np.arange(N_POINTS)


def sure(percent):
    return (np.asarray(percent)[:, np.newaxis] <= POINTS).astype(np.float32)


def unsure(percent, width=30.0):
    """Distributions that know the erosion only roughly."""
    return np.clip((POINTS - np.asarray(percent)[:, np.newaxis]) / width + 0.5, 0, 1).astype(np.float32)


def test_the_mean_of_two_sure_answers_is_half_one_half_the_other():
    mixed = mean_answer([sure([0.0]), sure([50.0])])
    assert mixed[0, 0] == mixed[0, 49] == 0.5
    assert mixed[0, 50] == 1
    assert read_out(mixed).mean[0] == pytest.approx(25)


def test_raw_sigmoids_are_made_distributions_first():
    raw = np.full((1, N_POINTS), 0.25, np.float32)
    raw[0, 10] = 0.75
    assert (np.diff(mean_answer([raw, raw])[0]) >= 0).all()


def spread(seed, width):
    """Erosions, and answers that are right on average but claim another uncertainty than they have."""
    rng = np.random.default_rng(seed)
    eroded = np.clip(np.round(rng.uniform(0, 100, 600) / 5) * 5, 0, 100).astype(np.float32)
    return unsure(eroded + rng.uniform(-20, 20, 600), width), eroded


def test_temperature_tells_an_answer_that_is_too_sure_from_one_that_is_not_sure_enough():
    too_sure, not_enough = Temperature(*spread(1, 5.0)), Temperature(*spread(1, 120.0))
    assert too_sure.value > 1.5
    assert not_enough.value < 0.7


@pytest.mark.parametrize("kind", [Temperature, Isotonic])
def test_what_was_calibrated_is_better_on_other_joints_and_still_a_distribution(kind):
    calibrated = kind(*spread(1, 5.0))
    cdf, eroded = spread(2, 5.0)
    found = calibrated(cdf)
    assert crps(found, eroded) < 0.98 * crps(cdf, eroded)
    assert found.dtype == np.float32
    assert (np.diff(found) >= 0).all()
    assert (found[:, -1] == 1).all()


def radiographs(n_radiographs, seed):
    """Four joints a radiograph. All joints of a radiograph are equally eroded, and each answer is off by its own amount."""
    rng = np.random.default_rng(seed)
    eroded = np.repeat(rng.uniform(0, 80, n_radiographs), 4)
    radiograph = np.repeat([f"2.25.{i}" for i in range(n_radiographs)], 4)
    seen = np.clip(eroded + rng.normal(0, 15, 4 * n_radiographs), 0, 100)
    return unsure(seen), radiograph, eroded.astype(np.float32)


def test_where_the_joints_of_a_radiograph_are_alike_the_radiograph_helps_with_other_radiographs():
    context = RadiographContext(*radiographs(150, 1))
    cdf, radiograph, eroded = radiographs(150, 2)
    assert crps(context(cdf, radiograph), eroded) < 0.98 * crps(cdf, eroded)


def test_where_they_are_not_alike_the_radiograph_changes_little():
    cdf, radiograph, eroded = radiographs(150, 1)
    order = np.random.default_rng(3).permutation(len(radiograph))
    context = RadiographContext(cdf, radiograph[order], eroded)
    assert crps(context(cdf, radiograph[order]), eroded) == pytest.approx(crps(cdf, eroded), rel=0.1)


def test_a_joint_alone_on_its_radiograph_is_answered():
    context = RadiographContext(*radiographs(50, 1))
    moved = context(unsure([20.0, 60.0]), np.array(["2.25.a", "2.25.b"]))
    assert (np.diff(moved, axis=1) >= 0).all()
    assert (moved[:, -1] == 1).all()
