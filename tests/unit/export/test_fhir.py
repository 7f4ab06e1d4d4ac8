"""FHIR observations of single predictions; tests/acceptance/test_export.py validates their structure."""

from datetime import UTC, date, datetime

import pytest

from scoring.clinical.joints import REGISTRY_JOINTS, joint_by_column
from scoring.export import fhir

JOINT = {
    "patient_id": "00123", "visit_date": date(2020, 1, 2), "sop_iuid": "1.2.840.1", "joint": "hand_left_2",
    "predicted_percent": 34.5, "predicted_q05": 20.0, "predicted_q95": 48.0, "predicted_grade": 2,
    "image_sha256": "a" * 64, "model_version": "m-1", "trained_on_synthetic": True,
    "scored_at": datetime(2020, 1, 3, 4, 5, tzinfo=UTC),
}  # fmt: skip


def test_body_site_is_unique_for_every_joint():
    names = [fhir.body_site(joint) for joint in REGISTRY_JOINTS]
    assert len(set(names)) == len(names)
    assert fhir.body_site(joint_by_column("hand_left_2")) == "metacarpophalangeal joint of the left little finger"
    assert fhir.body_site(joint_by_column("hand_right_10")) == "interphalangeal joint of the right thumb"
    assert fhir.body_site(joint_by_column("foot_left_5")) == "interphalangeal joint of the left great toe"
    assert fhir.body_site(joint_by_column("wrist_left")) == "left wrist"


def test_joint_observation_has_interval_grade_and_note_on_a_synthetic_model():
    found = fhir.joint_observation(JOINT)
    low, high, grade = found["component"]
    assert (low["valueQuantity"]["value"], high["valueQuantity"]["value"], grade["valueInteger"]) == (20.0, 48.0, 2)
    assert "synthetic" in found["note"][0]["text"]
    assert "note" not in fhir.joint_observation({**JOINT, "trained_on_synthetic": False})


def test_joint_observation_has_one_id_per_prediction_and_model():
    assert fhir.joint_observation(JOINT) == fhir.joint_observation(dict(JOINT))
    assert fhir.joint_observation(JOINT)["id"] != fhir.joint_observation({**JOINT, "model_version": "m-2"})["id"]


@pytest.mark.parametrize(
    ("sop_iuid", "system"),
    [
        ("1.2.840.1", "urn:dicom:uid"),
        ("F-17", "urn:x-bone-erosion-scoring:radiograph"),
        ("1.02", "urn:x-bone-erosion-scoring:radiograph"),
    ],
)
def test_joint_observation_references_a_radiograph_as_dicom_uid_only_if_it_is_one(sop_iuid, system):
    (radiograph,) = fhir.joint_observation({**JOINT, "sop_iuid": sop_iuid})["derivedFrom"]
    assert radiograph["identifier"]["system"] == system
