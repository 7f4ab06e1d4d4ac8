import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.imaging.preprocess import SIDE, as_batch, to_network_input

images = st.tuples(st.integers(1, 300), st.integers(1, 300)).flatmap(
    lambda shape: st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    )
)


@given(images)
@settings(max_examples=40, deadline=None)
def test_to_network_input_gives_a_square_within_the_range_of_the_image(grey: np.ndarray) -> None:
    square = to_network_input(grey)
    assert square.shape == (SIDE, SIDE)
    assert square.dtype == np.uint8
    assert grey.min() <= square.min()
    assert square.max() <= grey.max()


@given(st.integers(0, 255), st.integers(1, 400), st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_to_network_input_keeps_a_constant_image_constant(level: int, height: int, width: int) -> None:
    assert (to_network_input(np.full((height, width), level, np.uint8)) == level).all()


@given(arrays(np.uint8, st.tuples(st.integers(1, 60).map(lambda n: 2 * n), st.integers(1, 60).map(lambda n: 2 * n))))
@settings(max_examples=40, deadline=None)
def test_to_network_input_commutes_with_mirroring(grey: np.ndarray) -> None:
    mirrored_after = to_network_input(grey)[:, ::-1].astype(int)
    mirrored_before = to_network_input(np.ascontiguousarray(grey[:, ::-1])).astype(int)
    assert np.abs(mirrored_after - mirrored_before).max() <= 1


def test_to_network_input_keeps_an_image_of_the_right_size() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    assert (to_network_input(grey) == grey).all()


def test_to_network_input_averages_when_shrinking() -> None:
    """Every second column is white. Without antialiasing, the result would be stripes or one of the two levels."""
    stripes = np.zeros((4 * SIDE, 4 * SIDE), np.uint8)
    stripes[:, ::2] = 255
    assert to_network_input(stripes)[8:-8, 8:-8] == pytest.approx(127.5, abs=3)


def test_to_network_input_pads_by_repeating_the_edge() -> None:
    wide = np.tile(np.linspace(0, 255, 2 * SIDE).astype(np.uint8), (SIDE, 1))
    square = to_network_input(wide)
    assert (square[0] == square[-1]).all()
    assert (square[0] == square[SIDE // 2]).all()


def test_to_network_input_gives_golden_values() -> None:
    """These pixels define "grey128-v1". If they change, the version must change too."""
    rows, columns = np.mgrid[0:190, 0:150]
    square = to_network_input(np.minimum(255, rows + columns * 0.5).astype(np.uint8))
    assert square[::42, ::42].astype(int) == pytest.approx(
        np.array([[0, 21, 52, 74], [63, 84, 115, 137], [125, 146, 177, 199], [187, 208, 239, 255]]), abs=1
    )


@pytest.mark.parametrize("wrong", [np.zeros((4, 4)), np.zeros((4, 4, 1), np.uint8), np.zeros((0, 4), np.uint8)])
def test_to_network_input_rejects_other_arrays(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="The image must be uint8 of shape"):
        to_network_input(wrong)


def test_as_batch_stacks_and_scales_images() -> None:
    black, white = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    batch = as_batch([black, white])
    assert batch.shape == (2, 8, 8, 1)
    assert batch.dtype == np.float32
    assert (batch[0] == 0).all()
    assert (batch[1] == 1).all()
