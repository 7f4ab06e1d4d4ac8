import hashlib
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidRequest
from scoring.phantom.anatomy import TEMPLATES, joint_bones, patient_style
from scoring.phantom.confounders import joint_confounders
from scoring.phantom.difficulty import LIFELIKE, PLAIN, Difficulty, difficulty_named
from scoring.phantom.joint_image import joint_image, joint_jpeg, radiograph_style
from scoring.phantom.registry import JOINT_COLUMNS, simulate_registry

joints = st.sampled_from(tuple(TEMPLATES))
seeds = st.integers(0, 5000)


def _image(difficulty: Difficulty, joint: str = "hand_left_6", percent: float = 10.0, seed: int = 4) -> np.ndarray:
    return joint_image(seed, "00007", "2.25.42", joint, percent, difficulty=difficulty).astype(float)


def test_joint_jpeg_of_plain_has_unchanged_bytes() -> None:
    checksum = hashlib.sha256()
    for number, joint in enumerate(JOINT_COLUMNS):
        for percent in (0.0, 7.5, 33.0, 100.0):
            checksum.update(joint_jpeg(5, f"{number:05d}", f"2.25.{number}", joint, percent))
    assert checksum.hexdigest() == "1ced18aa65a908cf28a8731252f78750017f8eaaa1fb65ad80711996656b5b87"


def test_simulate_registry_of_plain_has_unchanged_tables() -> None:
    registry = simulate_registry(20, 5, date(2005, 1, 1), 6)
    frames = (registry.consultations, registry.disease_activity, registry.joints.drop(columns="operation"))
    # Processors with AVX2 and AVX-512 differ in the sixteenth digit of an exponential.
    written = [frame.to_csv(index=False, float_format="%.6f") for frame in frames]
    assert [hashlib.sha256(table.encode()).hexdigest()[:16] for table in written] == [
        "b2cc8d341148f455",
        "097a68188225c40e",
        "1a567fccebbbdddb",
    ]


def test_radiograph_style_of_lifelike_has_unchanged_values() -> None:
    style = radiograph_style(5, "2.25.1", LIFELIKE)
    assert (style.background, style.soft, style.bone) == pytest.approx((0.829096, 31.857279, 142.676545), abs=1e-6)
    assert (style.gamma, style.noise, style.blur) == pytest.approx((0.874537, 4.178604, 0.781151), abs=1e-6)


def test_difficulty_named_returns_presets_and_rejects_other_names() -> None:
    assert difficulty_named("plain") is PLAIN
    assert difficulty_named("lifelike") is LIFELIKE
    with pytest.raises(InvalidRequest, match="plain, lifelike"):
        difficulty_named("impossible")


@settings(max_examples=10, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_joint_image_of_default_difficulty_is_plain(joint: str, percent: float, seed: int) -> None:
    assert (_image(Difficulty("mine"), joint, percent, seed) == _image(PLAIN, joint, percent, seed)).all()


@settings(max_examples=10, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_joint_image_does_not_depend_on_readers(joint: str, percent: float, seed: int) -> None:
    careful = replace(LIFELIKE, halo=0.0, reader_error=0.1, reader_bias=0.0, operated=0.0)
    assert (_image(careful, joint, percent, seed) == _image(LIFELIKE, joint, percent, seed)).all()


@settings(max_examples=10, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_joint_confounders_of_one_parameter_do_not_change_the_others(joint: str, percent: float, seed: int) -> None:
    patient = patient_style(seed, "00001")
    bones = joint_bones(joint, patient)
    few, many = (
        joint_confounders(joint, bones, patient, replace(LIFELIKE, cysts=0.0, osteophytes=share), percent)
        for share in (0.0, 1.0)
    )
    assert all(len(part.spurs) == 2 for part in many.bones)
    assert few == replace(many, bones=tuple(replace(part, spurs=()) for part in many.bones))


@settings(max_examples=40, deadline=None)
@given(joints, seeds)
def test_joint_confounders_keep_cysts_away_from_the_outline(joint: str, seed: int) -> None:
    patient = patient_style(seed, "00001")
    bones = joint_bones(joint, patient, LIFELIKE)
    confounders = joint_confounders(joint, bones, patient, replace(LIFELIKE, cysts=1.0), erosion_percent=10)
    for bone, part in zip(bones, confounders.bones, strict=True):
        for cyst in part.cysts:
            assert np.hypot(*(bone.outline - cyst.centre).T).min() > cyst.radius + 0.02


@pytest.mark.parametrize(
    "parameter", ["osteophytes", "cysts", "notches", "sclerosis", "growth_plates", "overlaps", "rings"]
)
def test_joint_image_shows_each_confounder(parameter: str) -> None:
    ring_finger = "hand_left_4"
    changed = _image(replace(PLAIN, name=parameter, **{parameter: 1.0}), ring_finger) - _image(PLAIN, ring_finger)
    assert np.abs(changed).max() > 5
    assert (changed == 0).mean() > 0.02


def test_joint_image_shows_small_erosions_less_clearly_than_plain() -> None:
    clear = Difficulty("clear", coupling=(0.0, 0.0))
    subtle = replace(clear, bite_contrast=(0.4, 0.95), bite_depth=(0.4, 1.1), bite_hiding=0.5)

    def visible(difficulty: Difficulty, seed: int) -> float:
        return float(np.abs(_image(difficulty, seed=seed) - _image(difficulty, percent=0, seed=seed)).mean())

    seen, hidden = (np.mean([visible(difficulty, seed) for seed in range(15)]) for difficulty in (clear, subtle))
    assert hidden < 0.75 * seen


def test_radiograph_style_of_lifelike_varies_more_than_plain() -> None:
    plain, lifelike = (
        np.array(
            [
                (style.soft, style.bone, style.gamma)
                for style in (radiograph_style(1, str(n), difficulty) for n in range(300))
            ]
        )
        for difficulty in (PLAIN, LIFELIKE)
    )
    assert (lifelike.std(axis=0) > 1.1 * plain.std(axis=0)).all()
    assert radiograph_style(1, "2.25.1", LIFELIKE).side == radiograph_style(1, "2.25.1").side


@settings(max_examples=30, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_joint_image_of_lifelike_is_neither_blank_nor_saturated(joint: str, percent: float, seed: int) -> None:
    grey = _image(LIFELIKE, joint, percent, seed)
    assert grey.std() > 4
    assert (grey <= 2).mean() < 0.75
    assert (grey >= 253).mean() < 0.5


@pytest.mark.parametrize("operation", ["prosthesis", "fusion"])
def test_joint_image_of_operated_joint_has_filled_joint_space(operation: str) -> None:
    brighter = []
    for number in range(8):
        radiograph = f"2.25.{number}"
        operated, intact = (
            joint_image(1, "00001", radiograph, "hand_left_6", 0.0, operation=kind).astype(float)
            for kind in (operation, None)
        )
        middle = slice(int(len(intact) * 0.4), int(len(intact) * 0.6))
        brighter.append((operated - intact)[middle, middle].mean())
    assert np.mean(brighter) > 2


def test_joint_jpeg_of_lifelike_is_reproducible() -> None:
    first, again = (
        joint_jpeg(3, "00007", "2.25.42", "hand_left_4", 20.0, difficulty=LIFELIKE, operation=None) for _ in range(2)
    )
    assert first == again
    assert first != joint_jpeg(3, "00007", "2.25.42", "hand_left_4", 20.0)
