import numpy as np
import pytest

from scoring.networks.readout import N_POINTS, read_out
from scoring.training.benchmark.combinations import (
    Isotonic,
    RadiographContext,
    Temperature,
    mean_prediction,
    neighbours_cdf,
)
from scoring.training.evaluation.metrics import crps
from tests.lib.joint_sets import certain_cdf

POINTS = np.arange(N_POINTS)


def uncertain_cdf(percent, width=30.0):
    """Return distributions spread over `width` percentage points."""
    return np.clip((POINTS - np.asarray(percent)[:, np.newaxis]) / width + 0.5, 0, 1).astype(np.float32)


def test_mean_prediction_of_two_certain_ones_is_half_of_each():
    mixed = mean_prediction([certain_cdf([0.0]), certain_cdf([50.0])])
    assert mixed[0, 0] == mixed[0, 49] == 0.5
    assert mixed[0, 50] == 1
    assert read_out(mixed).mean[0] == pytest.approx(25)


def test_mean_prediction_makes_raw_sigmoids_monotone_first():
    raw = np.full((1, N_POINTS), 0.25, np.float32)
    raw[0, 10] = 0.75
    assert (np.diff(mean_prediction([raw, raw])[0]) >= 0).all()


def spread(seed, width):
    """Return predictions that are correct on average, but with a wrong uncertainty, and the erosions."""
    rng = np.random.default_rng(seed)
    eroded = np.clip(np.round(rng.uniform(0, 100, 600) / 5) * 5, 0, 100).astype(np.float32)
    return uncertain_cdf(eroded + rng.uniform(-20, 20, 600), width), eroded


def test_temperature_distinguishes_too_much_from_too_little_certainty():
    too_certain, not_enough = Temperature(*spread(1, 5.0)), Temperature(*spread(1, 120.0))
    assert too_certain.value > 1.5
    assert not_enough.value < 0.7


@pytest.mark.parametrize("kind", [Temperature, Isotonic])
def test_calibration_improves_other_joints_and_returns_distributions(kind):
    calibrated = kind(*spread(1, 5.0))
    cdf, eroded = spread(2, 5.0)
    found = calibrated(cdf)
    assert crps(found, eroded) < 0.98 * crps(cdf, eroded)
    assert found.dtype == np.float32
    assert (np.diff(found) >= 0).all()
    assert (found[:, -1] == 1).all()


def radiographs(n_radiographs, seed):
    """Return predictions with independent errors for four joints per radiograph, which are equally eroded."""
    rng = np.random.default_rng(seed)
    eroded = np.repeat(rng.uniform(0, 80, n_radiographs), 4)
    radiograph = np.repeat([f"2.25.{i}" for i in range(n_radiographs)], 4)
    predicted = np.clip(eroded + rng.normal(0, 15, 4 * n_radiographs), 0, 100)
    return uncertain_cdf(predicted), radiograph, eroded.astype(np.float32)


def test_radiograph_context_helps_if_the_joints_of_a_radiograph_are_alike():
    context = RadiographContext(*radiographs(150, 1))
    cdf, radiograph, eroded = radiographs(150, 2)
    assert crps(context(cdf, radiograph), eroded) < 0.98 * crps(cdf, eroded)


def test_radiograph_context_changes_little_if_they_are_not_alike():
    cdf, radiograph, eroded = radiographs(150, 1)
    order = np.random.default_rng(3).permutation(len(radiograph))
    context = RadiographContext(cdf, radiograph[order], eroded)
    assert crps(context(cdf, radiograph[order]), eroded) == pytest.approx(crps(cdf, eroded), rel=0.1)


def test_radiograph_context_predicts_a_single_joint_of_a_radiograph():
    context = RadiographContext(*radiographs(50, 1))
    moved = context(uncertain_cdf([20.0, 60.0]), np.array(["2.25.a", "2.25.b"]))
    assert (np.diff(moved, axis=1) >= 0).all()
    assert (moved[:, -1] == 1).all()


def test_neighbours_cdf_is_the_distribution_of_the_nearest_readings():
    known = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]], np.float32)
    reading = np.array([0, 10, 20, 90, 100], np.float32)
    cdf = neighbours_cdf(np.array([[1.1], [10.6]], np.float32), known, reading, 2)
    read = read_out(cdf)
    np.testing.assert_allclose(read.mean, [15, 95], atol=1e-4)
    np.testing.assert_allclose(cdf[0, [9, 10, 19, 20]], [0, 0.5, 0.5, 1])


def test_neighbours_cdf_of_a_known_joint_is_its_own_reading():
    known = np.random.default_rng(0).normal(size=(700, 3)).astype(np.float32)
    reading = (np.arange(700) % 21 * 5).astype(np.float32)
    np.testing.assert_allclose(read_out(neighbours_cdf(known, known, reading, 1)).mean, reading, atol=1e-4)


def test_neighbours_cdf_rejects_more_neighbours_than_joints():
    with pytest.raises(ValueError, match="k must be between 1 and 2, the number of read joints, not 3"):
        neighbours_cdf(np.zeros((1, 2), np.float32), np.zeros((2, 2), np.float32), np.zeros(2, np.float32), 3)
