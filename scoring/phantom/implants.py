"""Operated joints: replaced by a prosthesis or fused. They have no true erosion and no reading."""

from typing import Literal

import numpy as np

from scoring.phantom.anatomy import PatientStyle
from scoring.phantom.raster import Canvas, Floats, bell, finger, ramp
from scoring.phantom.seeds import stream

Operation = Literal["prosthesis", "fusion"]


def paint_operation(opacity: Floats, operation: Operation, canvas: Canvas, joint: str, patient: PatientStyle) -> Floats:
    """Return the opacity of a joint after its operation."""
    rng = stream(patient.seed, "operation-look", patient.patient_id, joint)
    if operation == "prosthesis":
        return _with_prosthesis(opacity, canvas, rng)
    return _with_fusion(opacity, canvas, patient, rng)


def _with_prosthesis(bone: Floats, canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Replace both bone ends by a hinge with two stems, of metal or of faint silicone."""
    along, off_axis = canvas.along, np.abs(canvas.across)
    metal = rng.random() < 0.5
    head_end, base_end, reach = -rng.uniform(0.22, 0.34), rng.uniform(0.14, 0.24), rng.uniform(0.9, 1.5)
    bone_left = bone * (ramp(-along, -head_end, -head_end + 0.05) + ramp(along, base_end, base_end + 0.05))
    beyond = np.maximum(np.float32(head_end) - along, along - np.float32(base_end))
    hub = finger(off_axis, np.float32(0.36)) * (1 - ramp(beyond, -0.02, 0.03))
    to_tip: Floats = np.clip(np.abs(along) / np.float32(reach), 0, 1)
    stem = finger(off_axis, np.float32(0.17) - np.float32(0.10) * to_tip)
    stem = stem * (1 - ramp(np.abs(along), reach, reach + 0.05))
    if metal:
        gap = 1 - bell(along, float(rng.normal(0.03, 0.02)), 0.03)
        implant = np.float32(1.9) * np.maximum(stem, hub * gap)
    else:
        implant = np.float32(0.5) * np.maximum(np.float32(0.7) * stem, hub)
    return np.asarray(bone_left + implant, dtype=np.float32)


def _with_fusion(bone: Floats, canvas: Canvas, patient: PatientStyle, rng: np.random.Generator) -> Floats:
    """Fill the joint space with bone, with wires or a screw in half of the joints."""
    across, along = canvas.across, canvas.along
    filling = np.float32(patient.density) * (np.float32(0.62) + np.float32(0.12) * canvas.texture)
    filling = filling * finger(across, np.float32(0.47)) * bell(along, 0.0, 0.17)
    fused: Floats = np.maximum(bone, filling)
    if rng.random() < 0.5:
        return fused
    widths = (0.085,) if rng.random() < 0.5 else (0.03, 0.03)
    for width in widths:
        line = np.abs(across - np.float32(rng.normal(0, 0.16)) * along - np.float32(rng.normal(0, 0.08)))
        ends = 1 - ramp(np.abs(along), 0.95, 1.0)
        fused = fused + np.float32(1.7) * ends * (1 - ramp(line, width, width + 0.02))
    return fused
