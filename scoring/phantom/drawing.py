"""Drawing of a joint: the positions of its bones on one radiograph, their opacity, and the soft tissue."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy import ndimage

from scoring.phantom.anatomy import CLOSING, Bone, JointTemplate, PatientStyle
from scoring.phantom.confounders import BiteStyle, BoneConfounders, JointConfounders, paint_confounders
from scoring.phantom.erosion import Defect
from scoring.phantom.raster import Canvas, Floats, Window, bell, chord, coverage, finger, place, ramp
from scoring.phantom.seeds import Rng


@dataclass(frozen=True)
class Pose:
    """Position of the bone ends of a joint, in joint units and radians; `pitch` is the distance to the next finger."""

    space: float
    lateral: float
    turn_head: float
    turn_base: float
    pitch: float


def draw_pose(
    erosion_percent: float, joint_space: float, spread: float, confounders: JointConfounders, *, lesion: Rng, rng: Rng
) -> Pose:
    """Draw a pose: damaged joints lose their space; severely damaged ones also slip and deviate to one side."""
    severe = max(0.0, erosion_percent - 40) / 60
    collapse = confounders.coupling
    deviation = float(lesion.normal())
    return Pose(
        space=joint_space * (1 - 0.55 * collapse * min(1.0, erosion_percent / 70)) * (1 - confounders.narrowing)
        - 0.34 * collapse * severe**2
        + rng.normal(0, 0.008),
        lateral=0.16 * collapse * severe * deviation + rng.normal(0, 0.012) + confounders.slip,
        turn_head=rng.normal(0, 0.035),
        turn_base=rng.normal(0, 0.025) + 0.12 * collapse * severe * deviation + confounders.slip,
        pitch=1.30 + 0.18 * spread + rng.normal(0, 0.05),
    )


@dataclass(frozen=True)
class PlacedBone:
    """A bone in the joint coordinates of the image; `defect` is None in bones next to the joint."""

    bone: Bone
    defect: Defect | None = None
    bite: BiteStyle = field(default_factory=BiteStyle)
    confounders: BoneConfounders = field(default_factory=BoneConfounders)


def place_joint(
    template: JointTemplate,
    bones: tuple[Bone, ...],
    defects: tuple[Defect, ...],
    pose: Pose,
    confounders: JointConfounders,
    *,
    lesion: Rng,
) -> list[PlacedBone]:
    """Return the bones of the joint in their pose, with defects and confounders."""
    bite = replace(
        confounders.bite,
        contrast=float(np.clip(lesion.normal(0.95, 0.04), 0.84, 1.0)) * confounders.bite.contrast,
        rim=float(lesion.uniform(0.05, 0.14)) if lesion.random() < 0.3 else 0.0,
    )
    lift = pose.space / 2
    head = partial(place, shift=(-pose.lateral / 2, -lift - 0.01), turn=pose.turn_head, pivot=-0.2)
    base = partial(place, shift=(pose.lateral / 2, lift - CLOSING[template.kind]), turn=pose.turn_base, pivot=0.0)
    placed = []
    for bone, defect, found in zip(bones, defects, confounders.bones, strict=True):
        move = head if bone.is_proximal else base
        moved, eroded = replace(bone, outline=move(bone.outline)), replace(defect, centres=move(defect.centres))
        spurs = (replace(spur, outline=move(spur.outline)) for spur in found.spurs if not defect.removed[spur.root])
        cysts = (replace(cyst, centre=move(cyst.centre)) for cyst in found.cysts)
        placed.append(PlacedBone(moved, eroded, bite, replace(found, spurs=tuple(spurs), cysts=tuple(cysts))))
    return placed


def place_neighbours(template: JointTemplate, bones: tuple[Bone, ...], pose: Pose, rng: Rng) -> list[PlacedBone]:
    """Return the neighbouring joints in the image of an MCP or MTP joint."""
    placed = []
    for side, height in template.neighbours:
        for bone in bones:
            lift = -0.01 if bone.is_proximal else pose.space - CLOSING[template.kind]
            mirrored = bone.outline * np.array([-1.0, 1.0])
            outline = place(mirrored, (side * pose.pitch, height + lift), rng.normal(-0.06 * side, 0.04), 0.0)
            placed.append(PlacedBone(replace(bone, outline=outline)))
    return placed


def place_adjacent(bones: tuple[Bone, ...], pose: Pose) -> list[PlacedBone]:
    """Return the other bones of a wrist, which move with the carpal bones."""
    shift = (pose.lateral / 2, pose.space / 2 - CLOSING["WRIST"])
    return [PlacedBone(replace(bone, outline=place(bone.outline, shift, pose.turn_base, 0.0))) for bone in bones]


def bone_opacity(placed: PlacedBone, canvas: Canvas, patient: PatientStyle) -> Floats:
    """Return the opacity of one bone: compact shell, spongy core and subchondral plate, with confounders and bites."""
    outlines = [placed.bone.outline, *(spur.outline for spur in placed.confounders.spurs)]
    cover = coverage(canvas.side, polygons=map(canvas.to_pixels, outlines))
    opacity = np.zeros((canvas.side, canvas.side), dtype=np.float32)
    if not cover.any():
        return opacity
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part = cover[window]
    padded = np.pad(part > 0.5, 1, mode="edge")
    depth = np.asarray(ndimage.distance_transform_edt(padded)[1:-1, 1:-1] / canvas.scale, dtype=np.float32)
    bone = _intact(placed.bone, depth, canvas, window, patient)
    bone = paint_confounders(bone, depth, placed.confounders, canvas, window)
    opacity[window] = _bitten(bone, placed, canvas, window) * part
    return opacity


def _intact(end: Bone, depth: Floats, canvas: Canvas, window: Window, patient: PatientStyle) -> Floats:
    """Return the opacity of an intact bone; `depth` is the distance to its outline in joint units."""
    texture, patches = canvas.texture[window], canvas.patches[window]
    # A carpal bone is spongy throughout, and all of its surface is near a joint.
    distance = np.zeros_like(depth) if end.is_short else np.abs(canvas.along[window])
    to_shaft = ramp(distance, 0.3, 1.5)
    shell_thickness = np.float32(patient.cortex) * (np.float32(0.22) + np.float32(0.78) * to_shaft)
    core = chord(depth - shell_thickness)
    shell = chord(depth) - core
    spongy = core * np.float32(patient.density) * (np.float32(0.56) - np.float32(0.27) * to_shaft)
    spongy = spongy * (1 + np.float32(0.07) * patches + np.float32(0.19) * texture * (1 - np.float32(0.45) * to_shaft))
    if end.is_proximal or end.is_short:
        plate = np.float32(0.26) * bell(depth, 0.03, 0.035)
    else:
        # The base is a shallow cup: its front and back rims overlap as a broad band behind the thin plate.
        plate = np.float32(0.42) * bell(depth, 0.04, 0.04) + np.float32(0.22) * bell(depth, 0.13, 0.07)
    near_surface = bell(distance, 0.0, 0.30)
    bone = np.float32(0.88) * (1 + np.float32(0.22) * patches) * shell + spongy + near_surface * plate
    return np.asarray(bone, dtype=np.float32)


def _bitten(bone: Floats, placed: PlacedBone, canvas: Canvas, window: Window) -> Floats:
    """Return the opacity of a bone after its bites, which have uneven borders and sometimes a sclerotic rim."""
    defect, bite, scale = placed.defect, placed.bite, canvas.scale
    if defect is None or not len(defect.centres):
        return bone
    # Every second disc suffices, because the discs overlap widely.
    centres, radii = canvas.to_pixels(defect.centres)[::2], defect.radii[::2] * scale
    discs = coverage(canvas.side, discs=zip(centres.tolist(), radii.tolist(), strict=True))[window]
    # A larger bite has a coarser border.
    blur = (0.25 + bite.softness) * (float(defect.radii.max()) * scale)
    soft: Floats = ndimage.gaussian_filter(discs, min(max(blur, 0.4), 6.0))
    uneven = np.float32(0.35) * canvas.texture[window] + canvas.patches[window]
    border = 4 * soft * (1 - soft)
    bitten = ramp(soft + np.float32(0.16) * uneven * border, 0.22 - 0.6 * bite.softness, 0.78 + 0.6 * bite.softness)
    if bite.hiding:
        bitten = bitten * bite.visibility(canvas.across[window], canvas.along[window])
    bone = bone * (1 - np.float32(bite.contrast) * bitten)
    if bite.rim:
        wider = ndimage.gaussian_filter(bitten, 0.04 * scale)
        bone = bone + np.float32(bite.rim) * 4 * wider * (1 - bitten)
    return bone


def soft_tissue(template: JointTemplate, canvas: Canvas, patient: PatientStyle, pitch: float) -> Floats:
    """Return the thickness of soft tissue, about 1 in the middle of a finger; `pitch` is as in `Pose`."""
    across, along = canvas.across, canvas.along
    flesh = np.float32(patient.flesh * (1.08 if template.digit == 1 else 1.0))
    swell = 1 + np.float32(0.10) * bell(along, 0.0, 0.7) - np.float32(0.05) * ramp(along, 0.4, 2.0)
    if template.kind in {"PIP", "IP1", "TOE"}:
        return finger(across, flesh * swell)
    if template.kind == "WRIST":
        width = flesh * (np.float32(1.2) + np.float32(0.35) * ramp(along, 0.1, 1.3))
        return np.float32(1.25) * finger(across + np.float32(0.1), width)
    web = 1 - ramp(along, -0.6, 1.15)
    open_left = template.digit == 5
    open_right = template.digit == 1 or (template.kind, template.digit) == ("MCP", 2)
    side_width = flesh * (1 + np.float32(0.25) * web)
    palm_width = side_width + np.float32(6.0) * web**4
    left, right = (side_width if is_open else palm_width for is_open in (open_left, open_right))
    palm = finger(across, np.where(across < 0, left, right)) * (1 + np.float32(0.35) * web)
    for sign, is_open in ((-1, open_left), (1, open_right)):
        if not is_open and template.digit != 1:
            palm = np.maximum(palm, finger(across - np.float32(sign * pitch), flesh))
    return palm


def sesamoid(canvas: Canvas, centre: tuple[float, float], size: float) -> Floats:
    """Return the opacity of a sesamoid bone of this radius in joint units."""
    radius: Floats = np.hypot((canvas.across - centre[0]) / 0.8, canvas.along - centre[1]) / np.float32(size)
    return np.float32(0.26) * (1 - ramp(radius, 0.7, 1.15)) + np.float32(0.07) * bell(radius, 0.85, 0.15)
