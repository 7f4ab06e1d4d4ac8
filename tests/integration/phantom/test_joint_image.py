import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from scoring.clinical.joints import COLUMNS
from scoring.errors import InvalidRequest
from scoring.imaging.decode import decode_grey
from scoring.imaging.preprocess import to_network_input
from scoring.phantom.anatomy import TEMPLATES, Bone, joint_bones, patient_style
from scoring.phantom.confounders import joint_confounders
from scoring.phantom.difficulty import LIFELIKE, PLAIN, Difficulty
from scoring.phantom.erosion import Defect, erode
from scoring.phantom.joint_image import joint_image, joint_jpeg, radiograph_style
from scoring.phantom.registry import JOINT_COLUMNS
from scoring.phantom.seeds import stream

fingers = st.sampled_from(JOINT_COLUMNS)
joints = st.sampled_from(tuple(TEMPLATES))
percents = st.floats(0, 100)
seeds = st.integers(0, 5000)

PIXELS_PER_UNIT = 900


def _pixels(points: np.ndarray) -> np.ndarray:
    return (points + np.array([1.0, 1.2])) * PIXELS_PER_UNIT


def _lost_outline(bone: Bone, defect: Defect) -> tuple[float, float]:
    """Return the length of the articular outline and its removed length, measured on a raster of the eroded bone."""
    canvas = Image.new("L", (2 * PIXELS_PER_UNIT, int(2.4 * PIXELS_PER_UNIT)), 0)
    brush = ImageDraw.Draw(canvas)
    brush.polygon(_pixels(bone.outline).ravel().tolist(), fill=255)
    for (x, y), radius in zip(_pixels(defect.centres), defect.radii * PIXELS_PER_UNIT, strict=True):
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    raster = np.asarray(canvas) > 0

    following = np.roll(bone.outline, -1, axis=0)
    middle, tangent = (bone.outline + following) / 2, following - bone.outline
    length = np.hypot(tangent[:, 0], tangent[:, 1])
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / length[:, None]
    x, y = bone.outline[:, 0], bone.outline[:, 1]
    anticlockwise = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 0
    inside = _pixels(middle + (0.006 if anticlockwise else -0.006) * normal)[bone.articular].astype(int)
    kept = raster[inside[:, 1], inside[:, 0]]
    length = length[bone.articular]
    return float(length.sum()), float(length[~kept].sum())


@settings(max_examples=60, deadline=None)
@given(joints, percents, seeds, st.sampled_from([PLAIN, LIFELIKE]))
def test_erode_removes_the_requested_share_of_the_outline(
    joint: str, percent: float, seed: int, difficulty: Difficulty
) -> None:
    patient = patient_style(seed, "00001")
    bones = joint_bones(joint, patient, difficulty)
    bite = joint_confounders(joint, bones, patient, difficulty, percent).bite
    defects = erode(bones, percent, stream(seed, "lesions"), bite.depth)
    measured = np.sum([_lost_outline(bone, defect) for bone, defect in zip(bones, defects, strict=True)], axis=0)
    assert measured[1] / measured[0] * 100 == pytest.approx(percent, abs=2)


@settings(max_examples=30, deadline=None)
@given(joints, percents, percents, seeds)
def test_erode_gives_nested_defects(joint: str, first: float, second: float, seed: int) -> None:
    bones = joint_bones(joint, patient_style(seed, "00001"))
    small, large = (erode(bones, percent, stream(seed, "lesions")) for percent in sorted((first, second)))
    for smaller, larger in zip(small, large, strict=True):
        assert not (smaller.removed & ~larger.removed).any()


@settings(max_examples=30, deadline=None)
@given(fingers, seeds)
def test_erode_starts_at_the_margins(joint: str, seed: int) -> None:
    for bone, defect in zip(
        bones := joint_bones(joint, patient_style(seed, "00001")),
        erode(bones, 2.0, stream(seed, "lesions")),
        strict=True,
    ):
        reach = np.abs(bone.outline[bone.articular, 0]).max()
        assert (np.abs(defect.centres[:, 0]) > 0.5 * reach).all()


@pytest.mark.parametrize("joint", ["hand_left_6", "foot_left_5", "wrist_right"])
def test_erode_removes_nothing_at_0_and_all_at_100_percent(joint: str) -> None:
    bones = joint_bones(joint, patient_style(1, "00001"))
    assert all(not defect.removed.any() for defect in erode(bones, 0, stream(1, "x")))
    assert all(
        (defect.removed == bone.articular).all()
        for bone, defect in zip(bones, erode(bones, 100, stream(1, "x")), strict=True)
    )


@settings(max_examples=15, deadline=None)
@given(joints, percents, seeds)
def test_joint_jpeg_is_reproducible(joint: str, percent: float, seed: int) -> None:
    first = joint_jpeg(seed, "00007", "2.25.42", joint, percent)
    joint_jpeg(seed + 1, "00008", "2.25.43", joint, percent)
    assert joint_jpeg(seed, "00007", "2.25.42", joint, percent) == first
    assert joint_jpeg(seed + 1, "00007", "2.25.42", joint, percent) != first


@settings(max_examples=40, deadline=None)
@given(joints, percents, seeds)
def test_joint_image_has_the_size_of_its_radiograph_and_is_neither_blank_nor_saturated(
    joint: str, percent: float, seed: int
) -> None:
    grey = joint_image(seed, "00007", "2.25.42", joint, percent)
    side = radiograph_style(seed, "2.25.42").side
    assert grey.shape == (side, side)
    assert grey.dtype == np.uint8
    assert grey.std() > 8
    assert (grey <= 2).mean() < 0.7
    assert (grey >= 253).mean() < 0.02


def test_joint_jpeg_is_accepted_by_the_decoder() -> None:
    for joint in TEMPLATES:
        grey = decode_grey(joint_jpeg(3, "00007", "2.25.9", joint, 30.0))
        original = joint_image(3, "00007", "2.25.9", joint, 30.0)
        assert np.abs(grey.astype(float) - original).mean() < 6


def test_joint_image_is_darker_with_an_erosion() -> None:
    darker = []
    for seed in range(12):
        intact, eroded = (joint_image(seed, "00007", "2.25.42", "hand_left_6", p).astype(float) for p in (0.0, 30.0))
        darker.append((intact - eroded).mean())
    assert np.mean(darker) > 0.5


def test_templates_cover_the_joints_of_the_registry() -> None:
    assert set(TEMPLATES) == set(COLUMNS)


@settings(max_examples=20, deadline=None)
@given(joints, seeds)
def test_joint_bones_have_an_articular_outline_in_one_run(joint: str, seed: int) -> None:
    for bone in joint_bones(joint, patient_style(seed, "00001"), LIFELIKE):
        assert np.abs(np.diff(bone.articular.astype(int))).sum() == 2


def _mean_image(joint: str) -> np.ndarray:
    images = [to_network_input(joint_image(1, f"{n:05d}", f"2.25.{n}", joint, 0.0)) for n in range(40)]
    return np.mean(images, axis=0)


@pytest.mark.parametrize("left", ["hand_left_9", "hand_left_2", "foot_left_1", "wrist_left"])
def test_joint_image_of_right_joint_resembles_a_mirrored_left_joint(left: str) -> None:
    right = _mean_image(left.replace("left", "right"))
    alike, unlike = (np.corrcoef(view.ravel(), _mean_image(left).ravel())[0, 1] for view in (right[:, ::-1], right))
    assert alike > 0.97
    assert unlike < alike - 0.03


def test_joint_image_of_right_joint_has_other_bones_than_the_left() -> None:
    left, right = (joint_image(1, "00001", "2.25.1", f"hand_{side}_5", 0.0) for side in ("left", "right"))
    assert (left != right[:, ::-1]).mean() > 0.5


@pytest.mark.parametrize(("joint", "percent"), [("foot_left_6", 0), ("hand_left_1", -1), ("hand_left_1", 100.5)])
def test_joint_image_rejects_unknown_joints_and_percentages_outside_0_to_100(joint: str, percent: float) -> None:
    with pytest.raises(InvalidRequest):
        joint_image(1, "00001", "2.25.1", joint, percent)


def test_joint_jpeg_draws_20_images_per_second() -> None:
    joint_image(1, "00001", "2.25.1", "hand_left_1", 10.0)
    started = time.process_time()
    for number in range(60):
        joint_jpeg(1, "00001", f"2.25.{number}", JOINT_COLUMNS[number % 10], 10.0)
    # The target is 60 images per second of processor time; a busy test machine gets a factor of three.
    assert time.process_time() - started < 3
