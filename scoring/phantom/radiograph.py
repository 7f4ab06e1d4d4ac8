"""Synthetic radiographs of single joints, drawn from the anatomy, with erosions of a known size.

A beam through a bone meets a shell of compact bone around a spongy core. `anatomy` has the bones, `erosion` what is
bitten out of them, `confounders` what else a radiograph shows, `raster` the canvas.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from scoring.errors import InvalidRequest
from scoring.phantom.anatomy import (
    CLOSING,
    Bone,
    JointLook,
    PatientStyle,
    Points,
    bystanders,
    joint_bones,
    joint_look,
    patient_style,
)
from scoring.phantom.confounders import (
    BiteLook,
    BoneTrouble,
    JointTrouble,
    joint_trouble,
    paint_cyst,
    paint_growth_plate,
    paint_overlap,
    paint_ring,
)
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.erosion import Defect, erode
from scoring.phantom.implants import Operation, paint_fusion, paint_prosthesis
from scoring.phantom.raster import (
    Canvas,
    Floats,
    Grey,
    View,
    as_share,
    bell,
    chord,
    coverage,
    finger,
    net,
    place,
    ramp,
)
from scoring.phantom.seeds import stream


@dataclass(frozen=True)
class RadiographStyle:
    """What all joints of one radiograph share: detector, exposure, how the hand lay."""

    sop_iuid: str
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
    """Draw what all joints of one radiograph share."""
    rng = stream(seed, "radiograph-style", sop_iuid)
    flat = rng.random() < 0.13
    background = rng.uniform(40, 85) if flat else abs(rng.normal(2.0, 2.5))
    radiograph = RadiographStyle(
        sop_iuid=sop_iuid,
        side=int(rng.choice([84, 96, 112, 128, 144, 150, 160, 176, 190, 216])),
        background=float(background),
        soft=float(np.clip(rng.normal(46, 11), 22, 85)),
        bone=float(np.clip(rng.normal(98, 18), 66, 150)),
        gamma=float(np.clip(rng.normal(1.0, 0.12), 0.72, 1.35)),
        noise=float(rng.gamma(2.0, 0.8) + (2.5 if flat else 0.3)),
        blur=float(rng.uniform(0.5, 1.15)),
        rotation=float(rng.normal(0, 5)),
        spread=float(np.clip(rng.normal(1.0, 0.28), 0.4, 1.7)),
        zoom=float(np.clip(rng.normal(1.0, 0.08), 0.82, 1.22)),
        quality=int(rng.integers(60, 96)),
        collimated=bool(rng.random() < 0.05),
    )
    return _exposed_otherwise(radiograph, stream(seed, "radiograph-difficulty", sop_iuid), difficulty)


def _exposed_otherwise(
    radiograph: RadiographStyle, rng: np.random.Generator, difficulty: Difficulty
) -> RadiographStyle:
    """The radiograph with more spread of exposure, contrast, sharpness and noise."""
    wide = difficulty.exposure
    light, contrast, gamma = rng.standard_normal(3).tolist()
    blur, noise, haze = rng.random(), rng.gamma(1.5, 1 / 1.5), rng.exponential()
    return replace(
        radiograph,
        background=radiograph.background + 9.0 * wide * float(haze),
        soft=radiograph.soft * float(np.exp(0.28 * wide * light - 0.12 * wide * contrast)),
        bone=radiograph.bone * float(np.exp(0.16 * wide * light + 0.24 * wide * min(contrast, 1.5))),
        gamma=radiograph.gamma * float(np.exp(0.15 * wide * gamma)),
        noise=radiograph.noise + difficulty.noise * float(noise),
        blur=radiograph.blur + difficulty.blur * float(blur) ** 2,
    )


@dataclass(frozen=True)
class _Placed:
    """A bone in joint coordinates of the picture, with what is bitten out of it."""

    outline: Points
    centres: Points
    radii: npt.NDArray[np.float64]
    is_proximal: bool
    is_short: bool
    contrast: float
    sclerosis: float
    bite: BiteLook
    trouble: BoneTrouble


def _bites(placed: _Placed, view: View, side: int) -> Image.Image:
    canvas = Image.new("L", (side * 2, side * 2), 0)
    brush = ImageDraw.Draw(canvas)
    centres = (view.to_pixels(placed.centres) + 0.5) * 2 - 0.5
    radii = placed.radii * view.scale * 2
    for (x, y), radius in zip(centres[::2].tolist(), radii[::2].tolist(), strict=True):
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return canvas


def _shade(placed: _Placed, canvas: Canvas, patient: PatientStyle) -> Floats:
    """Opacity of one bone: compact shell, spongy core with its net of trabeculae, subchondral plate, less its bites."""
    view, side = canvas.view, canvas.side
    outlines = [placed.outline, *(spur.outline for spur in placed.trouble.spurs)]
    cover = as_share(coverage([view.to_pixels(outline) for outline in outlines], side))
    opacity = np.zeros((side, side), dtype=np.float32)
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    if not len(rows):
        return opacity
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part, texture = cover[window], canvas.texture[window]
    padded = np.pad(part > 0.5, 1, mode="edge")
    depth = np.asarray(ndimage.distance_transform_edt(padded)[1:-1, 1:-1] / view.scale, dtype=np.float32)
    # A short bone is spongy all through, and all of its surface is near a joint.
    distance = np.zeros_like(depth) if placed.is_short else np.abs(canvas.along[window])

    to_shaft = ramp(distance, 0.3, 1.5)
    shell_thickness = np.float32(patient.cortex) * (np.float32(0.22) + np.float32(0.78) * to_shaft)
    core = chord(depth - shell_thickness)
    shell = chord(depth) - core
    spongy = core * np.float32(patient.density) * (np.float32(0.56) - np.float32(0.27) * to_shaft)
    spongy = spongy * (
        1 + np.float32(0.07) * canvas.patches[window] + np.float32(0.19) * texture * (1 - np.float32(0.45) * to_shaft)
    )
    near_surface = bell(distance, 0.0, 0.30)
    if placed.is_proximal or placed.is_short:
        plate = np.float32(0.26) * bell(depth, 0.03, 0.035)
    else:
        # The base is a shallow cup: its front and back rims overlap as a broad band behind the thin plate.
        plate = np.float32(0.42) * bell(depth, 0.04, 0.04) + np.float32(0.22) * bell(depth, 0.13, 0.07)
    bone = np.float32(0.88) * (1 + np.float32(0.22) * canvas.patches[window]) * shell + spongy + near_surface * plate
    bone = _troubled(bone, depth, placed.trouble, canvas, window)

    if len(placed.centres):
        uneven = np.float32(0.35) * texture + canvas.patches[window]
        radius = float(placed.radii.max()) * view.scale
        bitten = _ragged(as_share(_bites(placed, view, side))[window], uneven, radius, placed.bite.softness)
        if placed.bite.hiding:
            bitten = bitten * placed.bite.visible(canvas.across[window], canvas.along[window])
        bone = bone * (1 - np.float32(placed.contrast) * bitten)
        if placed.sclerosis:
            wider = ndimage.gaussian_filter(bitten, 0.04 * view.scale)
            bone = bone + np.float32(placed.sclerosis) * 4 * wider * (1 - bitten)
    opacity[window] = bone * part
    return opacity


def _troubled(bone: Floats, depth: Floats, trouble: BoneTrouble, canvas: Canvas, window: tuple[slice, slice]) -> Floats:
    """The opacity of a bone with its sclerosis, cysts and growth plate."""
    if trouble.sclerosis:
        near = bell(canvas.along[window], 0.0, 0.28) * bell(depth, 0.08, 0.10)
        bone = bone + np.float32(trouble.sclerosis) * near * (1 + np.float32(0.4) * canvas.patches[window])
    for cyst in trouble.cysts:
        bone = paint_cyst(bone, cyst, canvas, window)
    if trouble.growth_plate is not None:
        bone = paint_growth_plate(bone, trouble.growth_plate, canvas, window)
    return bone


def _ragged(bitten: Floats, uneven: Floats, radius: float, softness: float) -> Floats:
    """The bites with a border as uneven as the spongy bone they eat into; a larger bite has a coarser border."""
    soft: Floats = ndimage.gaussian_filter(bitten, min(max((0.25 + softness) * radius, 0.4), 6.0))
    border = 4 * soft * (1 - soft)
    return ramp(soft + np.float32(0.16) * uneven * border, 0.22 - 0.6 * softness, 0.78 + 0.6 * softness)


def _soft_tissue(look: JointLook, canvas: Canvas, patient: PatientStyle, pitch: float) -> Floats:
    """Thickness of soft tissue, about 1 in the middle of a finger."""
    across, along = canvas.across, canvas.along
    flesh = np.float32(patient.flesh * (1.08 if look.digit == 1 else 1.0))
    swell = 1 + np.float32(0.10) * bell(along, 0.0, 0.7) - np.float32(0.05) * ramp(along, 0.4, 2.0)
    if look.kind in {"PIP", "IP1", "TOE"}:
        return finger(across, flesh * swell)
    if look.kind == "WRIST":
        width = flesh * (np.float32(1.2) + np.float32(0.35) * ramp(along, 0.1, 1.3))
        return np.float32(1.25) * finger(across + np.float32(0.1), width)
    web = 1 - ramp(along, -0.6, 1.15)
    open_left, open_right = look.digit == 5, look.digit == 1 or (look.kind, look.digit) == ("MCP", 2)
    side_width = flesh * (1 + np.float32(0.25) * web)
    palm_width = side_width + np.float32(6.0) * web**4
    left, right = (side_width if is_open else palm_width for is_open in (open_left, open_right))
    palm = finger(across, np.where(across < 0, left, right)) * (1 + np.float32(0.35) * web)
    for sign, is_open in ((-1, open_left), (1, open_right)):
        if not is_open and look.digit != 1:
            palm = np.maximum(palm, finger(across - np.float32(sign * pitch), flesh))
    return palm


@dataclass(frozen=True)
class _Stance:
    """How the bone ends of a joint stand to each other on one radiograph."""

    space: float
    lateral: float
    turn_head: float
    turn_base: float
    pitch: float
    """Distance to the neighbouring metacarpal."""


def _stance(
    erosion_percent: float,
    patient: PatientStyle,
    radiograph: RadiographStyle,
    trouble: JointTrouble,
    *,
    deviation: float,
    rng: np.random.Generator,
) -> _Stance:
    """Damaged joints lose their space and, when severe, slip and deviate to one side."""
    severe = max(0.0, erosion_percent - 40) / 60
    collapse = trouble.coupling
    return _Stance(
        space=patient.joint_space * (1 - 0.55 * collapse * min(1.0, erosion_percent / 70)) * (1 - trouble.narrowing)
        - 0.34 * collapse * severe**2
        + rng.normal(0, 0.008),
        lateral=0.16 * collapse * severe * deviation + rng.normal(0, 0.012) + trouble.slip,
        turn_head=rng.normal(0, 0.035),
        turn_base=rng.normal(0, 0.025) + 0.12 * collapse * severe * deviation + trouble.slip,
        pitch=1.30 + 0.18 * radiograph.spread + rng.normal(0, 0.05),
    )


def _place_joint(
    look: JointLook,
    bones: tuple[Bone, ...],
    defects: tuple[Defect, ...],
    stance: _Stance,
    trouble: JointTrouble,
    *,
    lesion: np.random.Generator,
) -> list[_Placed]:
    contrast = float(np.clip(lesion.normal(0.95, 0.04), 0.84, 1.0)) * trouble.bite.contrast
    sclerosis = float(lesion.uniform(0.05, 0.14)) if lesion.random() < 0.3 else 0.0
    lift = stance.space / 2
    head_shift, base_shift = (-stance.lateral / 2, -lift - 0.01), (stance.lateral / 2, lift - CLOSING[look.kind])
    placed = []
    for bone, defect, disturbed in zip(bones, defects, trouble.bones, strict=True):
        shift, turn, pivot = (
            (head_shift, stance.turn_head, -0.2) if bone.is_proximal else (base_shift, stance.turn_base, 0.0)
        )
        moved = partial(place, shift=shift, turn=turn, pivot=pivot)
        placed.append(
            _Placed(
                moved(bone.outline),
                moved(defect.centres),
                defect.radii,
                bone.is_proximal,
                bone.is_short,
                contrast,
                sclerosis,
                trouble.bite,
                _place_trouble(disturbed, defect, moved),
            )
        )
    return placed


def _place_trouble(trouble: BoneTrouble, defect: Defect, moved: Callable[[Points], Points]) -> BoneTrouble:
    return replace(
        trouble,
        spurs=tuple(
            replace(spur, outline=moved(spur.outline)) for spur in trouble.spurs if not defect.removed[spur.root]
        ),
        cysts=tuple(replace(cyst, centre=moved(cyst.centre)) for cyst in trouble.cysts),
    )


def _place_neighbours(
    look: JointLook, bones: tuple[Bone, ...], stance: _Stance, rng: np.random.Generator
) -> list[_Placed]:
    """The joints of the neighbouring fingers or toes, which reach into the picture of an MCP or MTP joint."""
    placed = []
    for side, drop in look.neighbours:
        for bone in bones:
            lift = -0.01 if bone.is_proximal else stance.space - CLOSING[look.kind]
            mirrored = bone.outline * np.array([-1.0, 1.0])
            outline = place(mirrored, (side * stance.pitch, drop + lift), rng.normal(-0.06 * side, 0.04), 0.0)
            placed.append(_intact(outline, is_proximal=bone.is_proximal))
    return placed


def _place_bystanders(outlines: tuple[Points, ...], stance: _Stance) -> list[_Placed]:
    """The other bones of a wrist, which move with the carpal bones."""
    shift = (stance.lateral / 2, stance.space / 2 - CLOSING["WRIST"])
    return [
        _intact(place(outline, shift, stance.turn_base, 0.0), is_proximal=False, is_short=outline[:, 1].max() < 2)
        for outline in outlines
    ]


def _intact(outline: Points, *, is_proximal: bool, is_short: bool = False) -> _Placed:
    nothing = np.zeros((0, 2))
    return _Placed(outline, nothing, nothing[:, 0], is_proximal, is_short, 0.0, 0.0, BiteLook(), BoneTrouble())


def _sesamoid(across: Floats, along: Floats, place: tuple[float, float], size: float) -> Floats:
    radius: Floats = np.hypot((across - place[0]) / 0.8, along - place[1]) / np.float32(size)
    return np.float32(0.26) * (1 - ramp(radius, 0.7, 1.15)) + np.float32(0.07) * bell(radius, 0.85, 0.15)


def draw_joint(
    joint: str,
    erosion_percent: float,
    patient: PatientStyle,
    radiograph: RadiographStyle,
    rng: np.random.Generator,
    *,
    difficulty: Difficulty = PLAIN,
    operation: Operation | None = None,
) -> Grey:
    """Draw the radiograph of one joint.

    Args:
        joint: Registry column of the joint.
        erosion_percent: Share of the articular outline that is eroded away, 0 to 100.
        patient: Constant looks of the patient.
        radiograph: What all joints of the radiograph share.
        rng: Generator of this joint on this radiograph: small pose differences and quantum noise.
        difficulty: What else the picture shows.
        operation: How the joint was operated on; an operated joint shows no erosion.

    Returns:
        Grey values, uint8, (side, side) of the radiograph.

    Raises:
        InvalidRequest: The phantom has no drawing of this joint, or the percentage is outside 0-100.
    """
    if not 0 <= erosion_percent <= 100:
        raise InvalidRequest(f"erosion_percent is {erosion_percent}; it must lie in 0-100.")
    look = joint_look(joint)
    factor = 2 if radiograph.side < 110 else 1
    side = radiograph.side * factor
    view = View(
        scale=look.zoom * radiograph.zoom * side * float(np.clip(rng.normal(1, 0.04), 0.88, 1.12)),
        angle=np.deg2rad(look.tilt * radiograph.spread + radiograph.rotation + rng.normal(0, 3)),
        centre=(side * (0.5 + rng.normal(0, 0.025)), side * (0.5 + rng.normal(0, 0.025))),
    )
    across, along = view.grid(side)
    # Trabeculae have a size of their own, whatever the size of the crop.
    texture = net(across, along, 120.0 / patient.trabecula, rng)
    canvas = Canvas(view, side, across, along, texture, net(across, along, 16.0, rng))

    bones = joint_bones(joint, patient, difficulty)
    trouble = joint_trouble(joint, bones, patient, difficulty).of_size(erosion_percent)
    if operation == "fusion":
        trouble = replace(trouble, narrowing=1.3)
    lesion = stream(patient.seed, "lesions", patient.patient_id, joint)
    defects = erode(bones, erosion_percent, lesion, trouble.bite.depth)
    stance = _stance(erosion_percent, patient, radiograph, trouble, deviation=float(lesion.normal()), rng=rng)
    in_view = _place_joint(look, bones, defects, stance, trouble, lesion=lesion)
    in_view += _place_neighbours(look, bones, stance, rng)
    in_view += _place_bystanders(bystanders(joint, patient), stance)
    opacity = np.zeros((side, side), dtype=np.float32)
    for placed in in_view:
        opacity += _shade(placed, canvas, patient)
    if look.kind == "MCP1":
        beside = (-0.58 + float(rng.normal(0, 0.07)), -0.22 + float(rng.normal(0, 0.09)))
        opacity += _sesamoid(across, along, beside, size=0.17)
    soft = _soft_tissue(look, canvas, patient, stance.pitch)
    if operation is not None:
        opacity = _operated(opacity, operation, canvas, joint, patient)
    soft, opacity = _overlaid(
        soft, opacity, canvas, joint, patient=patient, radiograph=radiograph, difficulty=difficulty
    )
    grey = _expose(soft, opacity, radiograph, factor, rng)
    return np.ascontiguousarray(grey[:, ::-1]) if look.mirrored else grey


def _operated(opacity: Floats, operation: Operation, canvas: Canvas, joint: str, patient: PatientStyle) -> Floats:
    rng = stream(patient.seed, "operation-look", patient.patient_id, joint)
    if operation == "prosthesis":
        return paint_prosthesis(opacity, canvas, rng)
    return paint_fusion(opacity, canvas, patient, rng)


def _overlaid(
    soft: Floats,
    opacity: Floats,
    canvas: Canvas,
    joint: str,
    *,
    patient: PatientStyle,
    radiograph: RadiographStyle,
    difficulty: Difficulty,
) -> tuple[Floats, Floats]:
    """Soft tissue and bone with what lies over the joint."""
    overlap = paint_overlap(canvas, joint, patient, radiograph.sop_iuid, difficulty)
    if overlap is not None:
        soft, opacity = soft + overlap[0], opacity + overlap[1]
    ring = paint_ring(canvas, joint, patient, difficulty)
    return soft, opacity if ring is None else opacity + ring


def _expose(soft: Floats, opacity: Floats, radiograph: RadiographStyle, factor: int, rng: np.random.Generator) -> Grey:
    """From thickness to grey values: exposure, blur, collimator, quantum noise."""
    light = np.float32(radiograph.soft) * soft + np.float32(radiograph.bone) * opacity
    if factor == 2:
        light = light.reshape(radiograph.side, 2, radiograph.side, 2).mean(axis=(1, 3))
    light = ndimage.gaussian_filter(light, radiograph.blur)
    top = np.float32(radiograph.soft + radiograph.bone)
    light = top * (np.maximum(light, 0) / top) ** np.float32(radiograph.gamma) + np.float32(radiograph.background)
    if radiograph.collimated and rng.random() < 0.4:
        edge = rng.uniform(0.15, 0.45) * radiograph.side
        slope = rng.normal(0, 0.03)
        position = np.arange(radiograph.side, dtype=np.float32)
        light *= np.where(position[:, None] + np.float32(slope) * position[None, :] < edge, np.float32(0.72), 1)
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    light = light + np.float32(radiograph.noise) * grain * np.sqrt((light + 12) / 90)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


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
    """Draw one joint of one radiograph, all looks derived from the seed and the ids.

    Args:
        seed: Seed of the phantom.
        patient_id: Patient on the radiograph.
        sop_iuid: The radiograph.
        joint: Registry column of the joint.
        erosion_percent: True erosion, 0 to 100.
        difficulty: What else the picture shows.
        operation: How the joint was operated on.

    Returns:
        Grey values, uint8, (side, side).
    """
    return draw_joint(
        joint,
        erosion_percent,
        patient_style(seed, patient_id),
        radiograph_style(seed, sop_iuid, difficulty),
        stream(seed, "joint-on-radiograph", sop_iuid, joint),
        difficulty=difficulty,
        operation=operation,
    )


def joint_jpeg(
    seed: int,
    patient_id: str,
    sop_iuid: str,
    joint: str,
    erosion_percent: float,
    *,
    difficulty: Difficulty = PLAIN,
    operation: Operation | None = None,
) -> bytes:
    """The same as `joint_image`, as the grey JPEG file an extractor would write, at the radiograph's quality."""
    import simplejpeg

    grey = joint_image(seed, patient_id, sop_iuid, joint, erosion_percent, difficulty=difficulty, operation=operation)
    encoded: bytes = simplejpeg.encode_jpeg(
        grey[:, :, None], quality=radiograph_style(seed, sop_iuid).quality, colorspace="GRAY"
    )
    return encoded
