import numpy as np
import pytest

from scoring.networks.readout import read_out
from scoring.training.benchmark.neighbours import neighbours_cdf


def test_the_readings_of_the_nearest_make_the_distribution():
    known = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]], np.float32)
    reading = np.array([0, 10, 20, 90, 100], np.float32)
    cdf = neighbours_cdf(np.array([[1.1], [10.6]], np.float32), known, reading, 2)
    read = read_out(cdf)
    np.testing.assert_allclose(read.mean, [15, 95], atol=1e-4)
    np.testing.assert_allclose(cdf[0, [9, 10, 19, 20]], [0, 0.5, 0.5, 1])


def test_one_neighbour_of_a_known_joint_is_the_joint_itself():
    known = np.random.default_rng(0).normal(size=(700, 3)).astype(np.float32)
    reading = (np.arange(700) % 21 * 5).astype(np.float32)
    np.testing.assert_allclose(read_out(neighbours_cdf(known, known, reading, 1)).mean, reading, atol=1e-4)


def test_more_neighbours_than_joints_are_refused():
    with pytest.raises(ValueError, match="1 to the 2 joints"):
        neighbours_cdf(np.zeros((1, 2), np.float32), np.zeros((2, 2), np.float32), np.zeros(2, np.float32), 3)
