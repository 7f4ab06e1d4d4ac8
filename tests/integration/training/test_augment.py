from dataclasses import replace

import numpy as np
import pytest

from scoring.training.augment import EpochBatches, augment, class_weights, stretch
from scoring.training.recipes import TrainingRecipe
from tests.lib.joint_sets import bar_joints

RECIPE = TrainingRecipe(batch_size=16, seed=3, rotation=3, zoom=0.02, shift=0.01)
UNCHANGED = replace(RECIPE, rotation=0, zoom=0, shift=0, contrast=0, brightness=0, mirror=False)


@pytest.fixture(scope="module")
def joints():
    return bar_joints(side=16)["train"]


def test_epoch_augments_only_repeated_joints_if_the_recipe_says_so(joints):
    order = np.arange(16)
    order[12:] = order[:4]
    ((images, _, weights),) = EpochBatches(replace(RECIPE, augment_repeats_only=True), joints).epoch(order, 1)
    shown = joints.images[order] / np.float32(255)
    same = [np.allclose(a, b, atol=1e-6) for a, b in zip(np.asarray(images)[..., 0], shown, strict=True)]
    assert same == [True] * 12 + [False] * 4
    np.testing.assert_array_equal(np.asarray(weights), 1)


def test_class_weights_give_all_grades_the_same_total(joints):
    weights = class_weights(joints.grades)
    assert weights.mean() == pytest.approx(1)
    sums = [weights[joints.grades == grade].sum() for grade in np.unique(joints.grades)]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-5)
    ((_, _, batch_weights),) = EpochBatches(replace(RECIPE, class_weights=True), joints).epoch(np.arange(16), 1)
    np.testing.assert_array_equal(np.asarray(batch_weights), weights[:16])


def test_stretch_maps_grey_levels_to_the_whole_range(joints):
    ((images, _, _),) = EpochBatches(replace(UNCHANGED, stretch=True), joints).epoch(np.arange(16), 1)
    assert np.asarray(images).min(axis=(1, 2, 3)) == pytest.approx(0)
    assert np.asarray(images).max(axis=(1, 2, 3)) == pytest.approx(1)
    assert np.isfinite(np.asarray(stretch(np.full((1, 4, 4, 1), 0.5, np.float32)))).all()


def test_augment_is_seeded_bounded_and_mirrors_some_images():
    images = np.random.default_rng(0).random((6, 16, 16, 1), dtype=np.float32)
    np.testing.assert_allclose(augment(images, [1, 2], UNCHANGED), images, atol=1e-6)
    one, same, other = (np.asarray(augment(images, seed, RECIPE)) for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    mirrored = np.asarray(augment(images, [1, 2], replace(UNCHANGED, mirror=True)))
    flipped = [np.allclose(a, b[:, ::-1], atol=1e-5) for a, b in zip(mirrored, images, strict=True)]
    kept = [np.allclose(a, b, atol=1e-5) for a, b in zip(mirrored, images, strict=True)]
    assert all(np.logical_xor(flipped, kept))
    assert any(flipped)
