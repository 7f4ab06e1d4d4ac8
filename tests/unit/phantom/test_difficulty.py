import hashlib
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidRequest
from scoring.phantom.anatomy import LOOKS, joint_bones, patient_style
from scoring.phantom.confounders import joint_trouble
from scoring.phantom.difficulty import LIFELIKE, PLAIN, Difficulty, difficulty_named
from scoring.phantom.radiograph import joint_image, joint_jpeg, radiograph_style
from scoring.phantom.registry import JOINT_COLUMNS, simulate_registry

joints = st.sampled_from(tuple(LOOKS))
seeds = st.integers(0, 5000)


def _image(difficulty: Difficulty, joint: str = "hand_left_6", percent: float = 10.0, seed: int = 4) -> np.ndarray:
    return joint_image(seed, "00007", "2.25.42", joint, percent, difficulty=difficulty).astype(float)


def test_plain_draws_what_it_always_drew() -> None:
    digest = hashlib.sha256()
    for number, joint in enumerate(JOINT_COLUMNS):
        for percent in (0.0, 7.5, 33.0, 100.0):
            digest.update(joint_jpeg(5, f"{number:05d}", f"2.25.{number}", joint, percent))
    assert digest.hexdigest() == "1ced18aa65a908cf28a8731252f78750017f8eaaa1fb65ad80711996656b5b87"


def test_plain_simulates_what_it_always_simulated() -> None:
    registry = simulate_registry(20, 5, date(2005, 1, 1), 6)
    frames = (registry.consultations, registry.disease_activity, registry.joints.drop(columns="operation"))
    # Processors with AVX2 and with AVX-512 differ in the sixteenth digit of an exponential.
    written = [frame.to_csv(index=False, float_format="%.6f") for frame in frames]
    assert [hashlib.sha256(table.encode()).hexdigest()[:16] for table in written] == [
        "b2cc8d341148f455",
        "097a68188225c40e",
        "1a567fccebbbdddb",
    ]


def test_presets_have_names_and_others_are_refused() -> None:
    assert difficulty_named("plain") is PLAIN
    assert difficulty_named("lifelike") is LIFELIKE
    with pytest.raises(InvalidRequest, match="plain, lifelike"):
        difficulty_named("impossible")


@settings(max_examples=10, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_a_difficulty_with_nothing_turned_on_is_plain(joint: str, percent: float, seed: int) -> None:
    assert (_image(Difficulty("mine"), joint, percent, seed) == _image(PLAIN, joint, percent, seed)).all()


@settings(max_examples=10, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_how_readers_err_moves_no_pixel(joint: str, percent: float, seed: int) -> None:
    careful = replace(LIFELIKE, halo=0.0, reader_error=0.1, reader_bias=0.0, operated=0.0)
    assert (_image(careful, joint, percent, seed) == _image(LIFELIKE, joint, percent, seed)).all()


@settings(max_examples=10, deadline=None)
@given(joints, seeds)
def test_one_knob_leaves_the_others_alone(joint: str, seed: int) -> None:
    patient = patient_style(seed, "00001")
    bones = joint_bones(joint, patient)
    few, many = (
        joint_trouble(joint, bones, patient, replace(LIFELIKE, cysts=0.0, osteophytes=share)) for share in (0.0, 1.0)
    )
    assert all(len(part.spurs) == 2 for part in many.bones)
    assert few == replace(many, bones=tuple(replace(part, spurs=()) for part in many.bones))


@settings(max_examples=40, deadline=None)
@given(joints, seeds)
def test_cysts_reach_no_point_of_the_outline(joint: str, seed: int) -> None:
    patient = patient_style(seed, "00001")
    bones = joint_bones(joint, patient, LIFELIKE)
    trouble = joint_trouble(joint, bones, patient, replace(LIFELIKE, cysts=1.0))
    for bone, part in zip(bones, trouble.bones, strict=True):
        for cyst in part.cysts:
            assert np.hypot(*(bone.outline - cyst.centre).T).min() > cyst.radius + 0.02


@pytest.mark.parametrize("knob", ["osteophytes", "cysts", "notches", "sclerosis", "growth_plates", "overlaps", "rings"])
def test_each_confounder_can_be_seen(knob: str) -> None:
    ring_finger = "hand_left_4"
    changed = _image(replace(PLAIN, name=knob, **{knob: 1.0}), ring_finger) - _image(PLAIN, ring_finger)
    assert np.abs(changed).max() > 5
    assert (changed == 0).mean() > 0.02


def test_a_slight_erosion_is_harder_to_see_than_in_a_plain_drawing() -> None:
    clear = Difficulty("clear", coupling=(0.0, 0.0))
    subtle = replace(clear, bite_contrast=(0.4, 0.95), bite_depth=(0.4, 1.1), bite_hiding=0.5)

    def visible(difficulty: Difficulty, seed: int) -> float:
        return float(np.abs(_image(difficulty, seed=seed) - _image(difficulty, percent=0, seed=seed)).mean())

    seen, hidden = (np.mean([visible(difficulty, seed) for seed in range(15)]) for difficulty in (clear, subtle))
    assert hidden < 0.75 * seen


def test_radiographs_are_exposed_more_differently() -> None:
    plain, lifelike = (
        np.array(
            [
                (radiograph.soft, radiograph.bone, radiograph.gamma)
                for radiograph in (radiograph_style(1, str(n), d) for n in range(300))
            ]
        )
        for d in (PLAIN, LIFELIKE)
    )
    assert (lifelike.std(axis=0) > 1.1 * plain.std(axis=0)).all()
    assert radiograph_style(1, "2.25.1", LIFELIKE).side == radiograph_style(1, "2.25.1").side


@settings(max_examples=30, deadline=None)
@given(joints, st.floats(0, 100), seeds)
def test_lifelike_images_are_neither_blank_nor_saturated(joint: str, percent: float, seed: int) -> None:
    grey = _image(LIFELIKE, joint, percent, seed)
    assert grey.std() > 4
    assert (grey <= 2).mean() < 0.75
    assert (grey >= 253).mean() < 0.5


@pytest.mark.parametrize("operation", ["prosthesis", "fusion"])
def test_an_operated_joint_is_drawn_with_its_space_filled(operation: str) -> None:
    brighter = []
    for number in range(8):
        radiograph = f"2.25.{number}"
        operated, intact = (
            joint_image(1, "00001", radiograph, "hand_left_6", 0.0, difficulty=PLAIN, operation=done).astype(float)
            for done in (operation, None)
        )
        middle = slice(int(len(intact) * 0.4), int(len(intact) * 0.6))
        brighter.append((operated - intact)[middle, middle].mean())
    assert np.mean(brighter) > 2


def test_the_same_seed_gives_the_same_lifelike_bytes() -> None:
    first, again = (
        joint_jpeg(3, "00007", "2.25.42", "hand_left_4", 20.0, difficulty=LIFELIKE, operation=None) for _ in range(2)
    )
    assert first == again
    assert first != joint_jpeg(3, "00007", "2.25.42", "hand_left_4", 20.0)
