"""Synthetic images of single joints, drawn from the anatomy, with erosions of a known size."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from scoring.errors import InvalidRequest
from scoring.phantom import drawing
from scoring.phantom.anatomy import adjacent_bones, joint_bones, joint_template, patient_style
from scoring.phantom.confounders import Operation, joint_confounders, paint_operation, paint_overlap, paint_ring
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.erosion import erode
from scoring.phantom.raster import Floats, Grey, blank_canvas, encode_jpeg
from scoring.phantom.seeds import Rng, stream


@dataclass(frozen=True)
class RadiographStyle:
    """Acquisition features that all joints of one radiograph share.

    Attributes:
        side: Pixels per side of a joint image.
        background, soft, bone: Grey values without tissue, added by full soft tissue, and added by full bone.
        gamma: Exponent of the grey curve.
        noise, blur: Standard deviations of the noise where the image has 78 grey values, and of the blur in pixels.
        rotation: Rotation of the hand, degrees.
        spread, zoom: Spread of the fingers and size of the image, relative to the usual ones.
        quality: JPEG quality.
        collimated: True if the collimator may cover part of a joint.
    """

    side: int
    background: float
    soft: float
    bone: float
    gamma: float
    noise: float
    blur: float
    rotation: float
    spread: float
    zoom: float
    quality: int
    collimated: bool


def radiograph_style(seed: int, sop_iuid: str, difficulty: Difficulty = PLAIN) -> RadiographStyle:
    """Draw the acquisition features that all joints of one radiograph share."""
    rng = stream(seed, "film-style", sop_iuid)
    flat = rng.random() < 0.13
    background = rng.uniform(40, 85) if flat else abs(rng.normal(2.0, 2.5))
    # A separate stream, so that the difficulty changes nothing else.
    hard = stream(seed, "film-difficulty", sop_iuid)
    wide = difficulty.exposure
    light, contrast, gamma = hard.standard_normal(3)
    blur, noise, haze = hard.random(), hard.gamma(1.5, 1 / 1.5), hard.exponential()
    return RadiographStyle(
        side=int(rng.choice([84, 96, 112, 128, 144, 150, 160, 176, 190, 216])),
        background=float(background + 9.0 * wide * haze),
        soft=float(np.clip(rng.normal(46, 11), 22, 85) * np.exp(0.28 * wide * light - 0.12 * wide * contrast)),
        bone=float(
            np.clip(rng.normal(98, 18), 66, 150) * np.exp(0.16 * wide * light + 0.24 * wide * min(contrast, 1.5))
        ),
        gamma=float(np.clip(rng.normal(1.0, 0.12), 0.72, 1.35) * np.exp(0.15 * wide * gamma)),
        noise=float(rng.gamma(2.0, 0.8) + (2.5 if flat else 0.3) + difficulty.noise * noise),
        blur=float(rng.uniform(0.5, 1.15) + difficulty.blur * blur**2),
        rotation=float(rng.normal(0, 5)),
        spread=float(np.clip(rng.normal(1.0, 0.28), 0.4, 1.7)),
        zoom=float(np.clip(rng.normal(1.0, 0.08), 0.82, 1.22)),
        quality=int(rng.integers(60, 96)),
        collimated=bool(rng.random() < 0.05),
    )


def joint_image(
    seed: int,
    patient_id: str,
    sop_iuid: str,
    joint: str,
    erosion_percent: float,
    *,
    difficulty: Difficulty = PLAIN,
    operation: Operation | None = None,
) -> Grey:
    """Draw one joint of one radiograph: grey values, uint8, (side, side). The seed and the identifiers determine it.

    `erosion_percent` is the true erosion, the share of the articular outline that is removed; it is 0 for an operated
    joint.

    Raises:
        InvalidRequest: There is no phantom of this joint, or the percentage is outside 0 to 100.
    """
    if not 0 <= erosion_percent <= 100:
        raise InvalidRequest(f"erosion_percent is {erosion_percent}. Use 0 to 100.")
    template = joint_template(joint)
    patient = patient_style(seed, patient_id)
    radiograph = radiograph_style(seed, sop_iuid, difficulty)
    rng = stream(seed, "joint-on-film", sop_iuid, joint)
    # Small images are drawn at twice their size.
    side = radiograph.side * (2 if radiograph.side < 110 else 1)
    canvas = blank_canvas(
        side,
        scale=template.zoom * radiograph.zoom * side * float(np.clip(rng.normal(1, 0.04), 0.88, 1.12)),
        angle=np.deg2rad(template.tilt * radiograph.spread + radiograph.rotation + rng.normal(0, 3)),
        centre=(side * (0.5 + rng.normal(0, 0.025)), side * (0.5 + rng.normal(0, 0.025))),
        trabecula=patient.trabecula,
        rng=rng,
    )
    bones = joint_bones(joint, patient, difficulty)
    confounders = joint_confounders(joint, bones, patient, difficulty, erosion_percent)
    if operation == "fusion":
        confounders = replace(confounders, narrowing=1.3)
    lesion = stream(seed, "lesions", patient_id, joint)
    defects = erode(bones, erosion_percent, lesion, confounders.bite.depth)
    spread = radiograph.spread
    pose = drawing.draw_pose(erosion_percent, patient.joint_space, spread, confounders, lesion=lesion, rng=rng)
    placed = drawing.place_joint(template, bones, defects, pose, confounders, lesion=lesion)
    placed += drawing.place_neighbours(template, bones, pose, rng)
    placed += drawing.place_adjacent(adjacent_bones(joint, patient), pose)
    opacity = sum((drawing.bone_opacity(bone, canvas, patient) for bone in placed), np.zeros((side, side), np.float32))
    if template.kind == "MCP1":
        centre = (-0.58 + float(rng.normal(0, 0.07)), -0.22 + float(rng.normal(0, 0.09)))
        opacity += drawing.sesamoid(canvas, centre, size=0.17)
    if operation is not None:
        opacity = paint_operation(opacity, operation, canvas, joint, patient)
    soft = drawing.soft_tissue(template, canvas, patient, pose.pitch)
    overlap = stream(seed, "overlap", sop_iuid, joint)
    if overlap.random() < difficulty.overlaps:
        soft, opacity = paint_overlap(soft, opacity, canvas, patient, overlap)
    opacity = paint_ring(opacity, canvas, joint, patient, difficulty)
    grey = _expose(soft, opacity, radiograph, rng)
    return np.ascontiguousarray(grey[:, ::-1]) if template.mirrored else grey


def joint_jpeg(seed: int, patient_id: str, sop_iuid: str, joint: str, erosion_percent: float, **look: Any) -> bytes:
    """Return the image of `joint_image`, with the same arguments, as an extractor's grey JPEG file."""
    grey = joint_image(seed, patient_id, sop_iuid, joint, erosion_percent, **look)
    return encode_jpeg(grey, radiograph_style(seed, sop_iuid).quality)


def _expose(soft: Floats, opacity: Floats, style: RadiographStyle, rng: Rng) -> Grey:
    """Return grey values after exposure, blur, collimator and quantum noise.

    The thickness of soft tissue and the opacity of bone and implants have the size of the image or twice its size.
    """
    light = np.float32(style.soft) * soft + np.float32(style.bone) * opacity
    if len(light) > style.side:
        light = light.reshape(style.side, 2, style.side, 2).mean(axis=(1, 3))
    light = ndimage.gaussian_filter(light, style.blur)
    top = np.float32(style.soft + style.bone)
    light = top * (np.maximum(light, 0) / top) ** np.float32(style.gamma) + np.float32(style.background)
    if style.collimated and rng.random() < 0.4:
        edge = rng.uniform(0.15, 0.45) * style.side
        slope = rng.normal(0, 0.03)
        position = np.arange(style.side, dtype=np.float32)
        light *= np.where(position[:, None] + np.float32(slope) * position[None, :] < edge, np.float32(0.72), 1)
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    light = light + np.float32(style.noise) * grain * np.sqrt((light + 12) / 90)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)
