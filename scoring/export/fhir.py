"""Predictions as FHIR R4 Observations, one JSON document per line.

Structure: https://hl7.org/fhir/R4/observation.html. No code of LOINC or SNOMED CT is known to match these scores.
Therefore measures and body sites have a code of this project and a text, which a site maps to its own codes. A
radiograph is one DICOM SOP instance, in R4 a `Media`; the warehouse does not store its study. Patients, radiographs and
models are referenced by identifier, because the warehouse has no FHIR resources for them.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from scoring.clinical.joints import Joint, joint_by_column
from scoring.contract import SYNTHETIC_NOTICE

SYSTEM = "urn:x-bone-erosion-scoring"
"""Namespace of the codes and identifiers of this project."""
_UCUM = "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
# DICOM PS3.5, 9.1: a UID consists of digits and dots. Registries may deliver pseudonyms instead.
_UID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")

_PERCENT = ("%", "%")
_SCORE = ("points", "{score}")

_KINDS = {
    "PIP": "proximal interphalangeal joint",
    "MCP": "metacarpophalangeal joint",
    "IP": "interphalangeal joint",
    "MTP": "metatarsophalangeal joint",
}
_DIGITS = {
    "hand": ("thumb", "index finger", "middle finger", "ring finger", "little finger"),
    "foot": ("great toe", "second toe", "third toe", "fourth toe", "little toe"),
}

Record = Mapping[str, Any]
Json = dict[str, Any]


def joint_observation(prediction: Record) -> Json:
    """Return the eroded percentage of one joint, with its 90 % interval and Ratingen grade as components."""
    joint = joint_by_column(prediction["joint"])
    return {
        **_common(prediction, f"{prediction['image_sha256']}/{prediction['model_version']}"),
        "code": _concept("erosion-percent", "Percentage of the joint surface that is eroded"),
        "bodySite": _concept(joint.column, body_site(joint), of="joint"),
        "valueQuantity": _quantity(prediction["predicted_percent"], _PERCENT),
        "derivedFrom": [_radiograph(prediction["sop_iuid"])],
        "component": [
            *_interval(prediction["predicted_q05"], prediction["predicted_q95"], _PERCENT),
            {"code": _concept("ratingen-grade", "Ratingen grade, 0-5"), "valueInteger": prediction["predicted_grade"]},
        ],
    }


def rau_observation(prediction: Record) -> Json:
    """Return the Rau score of one visit, with its 90 % interval and the number of scored joints as components."""
    extrapolated = _concept("extrapolated", "Extrapolated from fewer than 32 joints")
    key = "/".join(str(prediction[name]) for name in ("patient_id", "visit_date", "model_version"))
    return {
        **_common(prediction, f"rau/{key}"),
        "code": _concept("rau-score", "Rau score, 0-190 points"),
        "valueQuantity": _quantity(prediction["rau_expected"], _SCORE),
        "derivedFrom": [_radiograph(sop_iuid) for sop_iuid in prediction["sop_iuids"]],
        "component": [
            *_interval(prediction["rau_q05"], prediction["rau_q95"], _SCORE),
            {"code": _concept("n-scored", "Number of scored joints"), "valueInteger": prediction["n_scored"]},
            {"code": extrapolated, "valueBoolean": prediction["extrapolated"]},
        ],
    }


def line(observation: Json) -> bytes:
    """Return the observation as a line of NDJSON."""
    return json.dumps(observation, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def body_site(joint: Joint) -> str:
    """Return the name of a joint, such as "metacarpophalangeal joint of the left little finger"."""
    if joint.kind == "wrist":
        return f"{joint.side} wrist"
    return f"{_KINDS[joint.kind]} of the {joint.side} {_DIGITS[joint.limb][int(joint.name[-1]) - 1]}"


def _common(prediction: Record, key: str) -> Json:
    model = prediction["model_version"]
    observation = {
        "resourceType": "Observation",
        # The same prediction has the same id in every export.
        "id": str(uuid5(NAMESPACE_URL, f"{SYSTEM}:prediction:{key}")),
        "identifier": [{"system": f"{SYSTEM}:prediction", "value": key}],
        "status": "preliminary",
        "category": [{"coding": [{"system": _CATEGORY, "code": "imaging"}]}],
        "subject": _reference("Patient", "patient", prediction["patient_id"]),
        "effectiveDateTime": prediction["visit_date"].isoformat(),
        "issued": prediction["scored_at"].isoformat(timespec="milliseconds"),
        "device": {**_reference("Device", "model", model), "display": f"model {model}"},
    }
    if prediction["trained_on_synthetic"]:
        observation["note"] = [{"text": SYNTHETIC_NOTICE}]
    return observation


def _reference(resource: str, system: str, value: str) -> Json:
    return {"type": resource, "identifier": {"system": f"{SYSTEM}:{system}", "value": value}}


def _radiograph(sop_iuid: str) -> Json:
    if _UID.fullmatch(sop_iuid):
        return {"type": "Media", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{sop_iuid}"}}
    return _reference("Media", "radiograph", sop_iuid)


def _concept(code: str, text: str, of: str = "measure") -> Json:
    return {"coding": [{"system": f"{SYSTEM}:{of}", "code": code}], "text": text}


def _quantity(value: float, unit: tuple[str, str]) -> Json:
    return {"value": value, "unit": unit[0], "system": _UCUM, "code": unit[1]}


def _interval(low: float, high: float, unit: tuple[str, str]) -> list[Json]:
    return [
        {"code": _concept("interval-low", "Lower limit of the 90 % interval"), "valueQuantity": _quantity(low, unit)},
        {"code": _concept("interval-high", "Upper limit of the 90 % interval"), "valueQuantity": _quantity(high, unit)},
    ]
