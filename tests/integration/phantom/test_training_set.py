import numpy as np
import pytest

from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import LIFELIKE, PLAIN
from scoring.phantom.patients import LIMB_JOINTS, Limb
from scoring.phantom.training_set import make_training_set


@pytest.mark.slow
def test_make_training_set_does_not_depend_on_the_number_of_workers() -> None:
    alone, shared = (make_training_set(8, 5, max_images=120, workers=workers) for workers in (1, 2))
    assert np.array_equal(alone.images, shared.images)
    assert np.array_equal(alone.erosion_read, shared.erosion_read, equal_nan=True)
    assert alone.images.shape == (120, 128, 128)
    assert alone.images.dtype == np.uint8


def test_make_training_set_aligns_arrays_and_reports_progress() -> None:
    reported: list[tuple[str, int, int | None]] = []
    drawn = make_training_set(3, 5, max_images=33, progress=lambda *progress: reported.append(progress))
    assert len(drawn.images) == 33
    assert reported[-1] == ("drawing synthetic joints", 33, 33)
    for array in (drawn.erosion_true, drawn.erosion_read, drawn.patient_id, drawn.joint, drawn.sop_iuid):
        assert array.shape == (33,)
    assert not drawn.enriched.any()
    assert len(set(zip(drawn.sop_iuid.tolist(), drawn.joint.tolist(), strict=True))) == 33


def test_make_training_set_chooses_unchanged_radiographs() -> None:
    drawn = make_training_set(60, 5, max_images=40)
    last_digits = {sop_iuid[-6:] for sop_iuid in drawn.sop_iuid.tolist()}
    assert last_digits == {"189679", "761876", "394562", "133110"}


def test_make_training_set_marks_enriched_joints_and_draws_them_uniformly() -> None:
    drawn = make_training_set(10, 5, max_images=120, enrich=0.5)
    assert 0.3 < drawn.enriched.mean() < 0.7
    assert 35 < drawn.erosion_true[drawn.enriched].mean() < 65
    assert np.isfinite(drawn.erosion_read[drawn.enriched]).all()


def test_make_training_set_of_lifelike_has_other_images_and_no_operated_joints() -> None:
    plain, lifelike = (make_training_set(60, 5, max_images=40, difficulty=level) for level in (PLAIN, LIFELIKE))
    assert np.isfinite(lifelike.erosion_true).all()
    same = set(zip(plain.sop_iuid.tolist(), plain.joint.tolist(), strict=True)) & set(
        zip(lifelike.sop_iuid.tolist(), lifelike.joint.tolist(), strict=True)
    )
    assert len(same) >= 30
    assert not np.array_equal(plain.images[0], lifelike.images[0])


@pytest.mark.parametrize(("limb", "n_joints"), [("hand_right", 10), ("wrists", 2), ("feet", 10)])
def test_make_training_set_draws_other_limbs(limb: Limb, n_joints: int) -> None:
    drawn, again = (make_training_set(10, 5, max_images=20, limb=limb, difficulty=LIFELIKE) for _ in range(2))
    assert 15 <= len(drawn.images) <= 20
    assert set(drawn.joint.tolist()) <= {joint.column for joint in LIMB_JOINTS[limb]}
    assert len(set(drawn.sop_iuid.tolist())) == pytest.approx(20 / n_joints, abs=1)
    assert np.array_equal(drawn.images, again.images)


@pytest.mark.parametrize("wrong", [{"enrich": 1.5}, {"max_images": 0}])
def test_make_training_set_rejects_invalid_numbers(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        make_training_set(2, 1, **wrong)
