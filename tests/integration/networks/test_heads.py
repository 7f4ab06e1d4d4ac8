"""Heads and losses: every head returns a distribution function, and every loss compares two; needs keras."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.clinical import ratingen
from scoring.networks.heads import (
    CELLS,
    HEADS,
    Continuation,
    Mixture,
    Point,
    add_head,
    grade_cells,
    grid_cells,
)
from scoring.networks.losses import (
    LOSSES,
    cdf_target,
    crps_loss,
    grade_crossentropy,
    grid_crossentropy,
    squared_error,
)
from scoring.networks.readout import N_POINTS, read_out

keras = pytest.importorskip("keras")

fractions = arrays(np.float32, (3, 6), elements=st.floats(0.015625, 1, width=32)).map(
    lambda x: x / x.sum(1, keepdims=True)
)


@given(fractions)
def test_mixture_of_grades_keeps_the_grade_probabilities(probabilities):
    cdf = np.asarray(Mixture("grades")(probabilities))
    np.testing.assert_allclose(read_out(cdf).grade_probability, probabilities, atol=1e-6)


@given(st.floats(0, 100))
def test_point_is_the_mean_of_its_distribution(percent):
    cdf = np.asarray(Point()(np.array([[percent / 100]], np.float32)))
    assert read_out(cdf).mean[0] == pytest.approx(percent, abs=1e-3)


@given(arrays(np.float32, (3, 20), elements=st.floats(0, 1, width=32)))
def test_continuation_returns_the_probabilities_of_the_cells(conditional):
    cells = np.asarray(Continuation()(conditional))
    assert cells.shape == (3, 21)
    assert (cells >= 0).all()
    np.testing.assert_allclose(cells.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(cells[:, 0], 1 - conditional[:, 0], atol=1e-5)
    np.testing.assert_allclose(cells[:, 1], conditional[:, 0] * (1 - conditional[:, 1]), atol=1e-5)


@pytest.mark.parametrize("cells", CELLS)
def test_cells_are_distribution_functions(cells):
    matrix = CELLS[cells]()
    assert matrix.shape[1] == N_POINTS
    assert (np.diff(matrix, axis=1) >= 0).all()
    assert (matrix[:, -1] == 1).all()


def test_grid_cells_have_one_cell_per_reading():
    np.testing.assert_array_equal(read_out(grid_cells()).mean, np.arange(0, 101, 5))


def test_grade_cells_are_uniform_within_a_grade():
    np.testing.assert_allclose(read_out(grade_cells()).mean, [0, 10.5, 30.5, 50.5, 70.5, 90.5], atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_add_head_returns_101_probabilities_for_every_head(head):
    features = keras.Input((4,))
    network = keras.Model(features, add_head(head, features))
    cdf = np.asarray(network(np.random.default_rng(0).normal(0, 5, (8, 4)).astype(np.float32)))
    assert cdf.shape == (8, N_POINTS)
    assert cdf.dtype == np.float32
    read_out(cdf)


def test_add_head_rejects_an_unknown_head():
    with pytest.raises(ValueError, match=r"Unknown head 'tail'\. Use one of grades, grid, ordinal, point, sigmoids"):
        add_head("tail", keras.Input((4,)))


@pytest.mark.parametrize("head", HEADS)
def test_add_head_returns_float32_under_mixed_precision(head):
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        features = keras.Input((4,))
        network = keras.Model(features, add_head(head, features))
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    assert network.get_layer("embedding").compute_dtype == "bfloat16"
    assert all(layer.compute_dtype == "float32" for layer in network.layers[2:])
    assert np.asarray(network(np.zeros((1, 4), np.float32))).dtype == np.float32


READINGS = np.array([0, 5, 20, 25, 60, 100], np.float32)


def test_grade_crossentropy_uses_the_grade_probabilities():
    probabilities = np.random.default_rng(1).dirichlet(np.ones(6), len(READINGS)).astype(np.float32)
    loss = np.asarray(grade_crossentropy(cdf_target(READINGS), Mixture("grades")(probabilities)))
    grades = ratingen.grade(READINGS).astype(int)
    np.testing.assert_allclose(loss, -np.log(probabilities[np.arange(len(READINGS)), grades]), rtol=1e-4)


def test_grid_crossentropy_is_smallest_at_the_smoothed_reading():
    right = np.zeros((1, 21), np.float32)
    right[0, 3:6] = [0.1, 0.8, 0.1]
    off = np.roll(right, 1, axis=1)
    target = cdf_target(np.array([20], np.float32))
    right_loss, off_loss = (float(np.asarray(grid_crossentropy(target, Mixture("grid")(p)))[0]) for p in (right, off))
    assert right_loss == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.1)), rel=1e-3)
    assert off_loss > right_loss + 1


def test_grid_crossentropy_smooths_0_and_100_percent_to_one_side():
    """0 and 100 percent have one neighbour each, so a tenth of the reading is on it."""
    certain = np.eye(21, dtype=np.float32)[[0, 20]]
    loss = np.asarray(grid_crossentropy(cdf_target(np.array([0, 100], np.float32)), Mixture("grid")(certain)))
    np.testing.assert_allclose(loss, -0.1 * np.log(1e-6), rtol=1e-3)


def test_squared_error_compares_the_means():
    cdf = np.asarray(Point()(np.full((len(READINGS), 1), 0.3, np.float32)))
    np.testing.assert_allclose(
        np.asarray(squared_error(cdf_target(READINGS), cdf)), ((READINGS - 30) / 100) ** 2, atol=1e-6
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_smaller_for_a_right_prediction(loss):
    target = cdf_target(np.array([60], np.float32))
    near, far = (LOSSES[loss](target, cdf_target(np.array([p], np.float32))) for p in (60, 5))
    assert float(near[0]) < float(far[0])
    assert float(crps_loss(target, target)[0]) == 0
