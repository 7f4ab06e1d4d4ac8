"""Image content other than anatomy and erosion: confounders, which make a joint hard to read, and operations.

Spurs, cysts, sclerosis and growth plates are on all radiographs of a patient; overlap is drawn per radiograph. Nothing
here touches the articular outline, so the true erosion does not change. Each kind has a random stream of its own.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.phantom.anatomy import Bone, PatientStyle, Points, inward_normals, joint_template, smooth_closed
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.raster import Canvas, Floats, Window, bell, chord, finger, ramp
from scoring.phantom.seeds import Rng, stream

Operation = Literal["prosthesis", "fusion"]
"""Replacement or fusion of a joint, which then has no true erosion and no reading."""

_CYST_CLEARANCE = 0.025
_GROWTH_PLATE_BASE, _GROWTH_PLATE_HEAD = 0.34, -0.55


@dataclass(frozen=True)
class Spur:
    """A bony lip at the margin of a bone. An erosion of the point `root` of the bone's outline removes the spur."""

    outline: Points
    root: int


@dataclass(frozen=True)
class Cyst:
    """A round hole in the spongy bone that reaches no point of the outline.

    `centre` has shape (1, 2). `contrast` is the lost share of the opacity, `rim` the added opacity of the border.
    """

    centre: Points
    radius: float
    contrast: float
    rim: float


@dataclass(frozen=True)
class BoneConfounders:
    """Confounders of one bone, in its coordinates.

    `sclerosis` is the opacity of a band below the surface, `growth_plate` the height of an open growth plate.
    """

    spurs: tuple[Spur, ...] = ()
    cysts: tuple[Cyst, ...] = ()
    sclerosis: float = 0.0
    growth_plate: float | None = None


@dataclass(frozen=True)
class BiteStyle:
    """Visibility of the bites of a joint; by default, all are fully visible.

    Attributes:
        depth: Relative depth.
        contrast: Share of the opacity that a bite removes.
        softness: Additional softness of the border, in units of the radius.
        hiding: Largest loss of visibility.
        waves: Pattern of that loss: radians per joint unit across and along, and a phase.
        rim: Opacity of a sclerotic rim.
    """

    depth: float = 1.0
    contrast: float = 1.0
    softness: float = 0.0
    hiding: float = 0.0
    waves: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rim: float = 0.0

    def visibility(self, across: Floats, along: Floats) -> Floats:
        """Return the visibility of a bite at each pixel, from 1 - hiding to 1."""
        x, y, phase = (np.float32(number) for number in self.waves)
        share = 1 - np.float32(self.hiding / 2) * (1 + np.cos(x * across + y * along + phase))
        return np.asarray(share, dtype=np.float32)


@dataclass(frozen=True)
class JointConfounders:
    """Confounders of one joint on all radiographs of its patient.

    Attributes:
        bones: One per bone, in the order of `joint_bones`.
        bite: Visibility of the bites.
        coupling: Share of the usual collapse that a severe erosion causes.
        narrowing: Lost share of the joint space.
        slip: Slip to the side in joint units, and deviation in radians.
    """

    bones: tuple[BoneConfounders, ...]
    bite: BiteStyle = BiteStyle()
    coupling: float = 1.0
    narrowing: float = 0.0
    slip: float = 0.0


def joint_confounders(
    joint: str, bones: tuple[Bone, ...], patient: PatientStyle, difficulty: Difficulty, erosion_percent: float
) -> JointConfounders:
    """Draw the confounders of one joint of a patient, given its intact bones and its erosion."""
    if difficulty == PLAIN:
        # A shortcut: the code below has the same result.
        return JointConfounders(tuple(BoneConfounders() for _ in bones))
    rng = stream(patient.seed, "bite-look", patient.patient_id, joint)
    waves = (float(rng.normal(0, 4)), float(rng.normal(0, 4)), float(rng.uniform(0, 2 * np.pi)))
    depth, contrast = float(rng.uniform(*difficulty.bite_depth)), float(rng.uniform(*difficulty.bite_contrast))
    # A large erosion is deep and affects the whole bone.
    large = min(1.0, erosion_percent / 75)
    bite = BiteStyle(
        depth=depth + large * max(0.0, 1 - depth),
        contrast=contrast + large * (1 - contrast),
        softness=difficulty.bite_softness * float(rng.random()),
        hiding=difficulty.bite_hiding * float(rng.random()) * (1 - 0.8 * large),
        waves=waves,
    )
    rng = stream(patient.seed, "stance-without-erosion", patient.patient_id, joint)
    return JointConfounders(
        bones=tuple(_bone_confounders(joint, bone, patient, difficulty) for bone in bones),
        bite=bite,
        coupling=float(rng.uniform(*difficulty.coupling)),
        narrowing=float(min(rng.exponential(), 3.5)) * difficulty.narrowing,
        slip=float(rng.standard_t(4)) * difficulty.malalignment,
    )


def _bone_confounders(joint: str, bone: Bone, patient: PatientStyle, difficulty: Difficulty) -> BoneConfounders:
    def rng(kind: str) -> Rng:
        return stream(patient.seed, kind, patient.patient_id, joint, bone.name)

    sclerosis = rng("sclerosis")
    dense = sclerosis.random() < difficulty.sclerosis
    return BoneConfounders(
        spurs=_spurs(bone, rng("osteophytes"), difficulty.osteophytes),
        cysts=_cysts(bone, rng("cysts"), difficulty.cysts),
        sclerosis=float(sclerosis.uniform(0.08, 0.35)) if dense else 0.0,
        growth_plate=_growth_plate(joint, bone, patient, difficulty),
    )


def _spurs(bone: Bone, rng: Rng, probability: float) -> tuple[Spur, ...]:
    articular = np.flatnonzero(bone.articular)
    normals = inward_normals(bone.outline)
    towards_joint = np.array([0.0, 1.0 if bone.is_proximal else -1.0])
    spurs = []
    for end in (0.0, 1.0):
        present, inset, height, width, lean = rng.random(5)
        if present >= probability:
            continue
        root = int(articular[round(abs(end - 0.16 * inset) * (len(articular) - 1))])
        middle, inward = bone.outline[root], normals[root]
        tangent = np.array([-inward[1], inward[0]]) * (0.06 + 0.09 * width)
        tip = middle - inward * (0.05 + 0.12 * height) + towards_joint * (0.02 + 0.10 * lean)
        corners = np.stack([middle + tangent + 0.05 * inward, middle - tangent + 0.05 * inward, tip])
        spurs.append(Spur(smooth_closed(corners, rounds=2), root))
    return tuple(spurs)


def _cysts(bone: Bone, rng: Rng, probability: float) -> tuple[Cyst, ...]:
    articular = np.flatnonzero(bone.articular)
    normals = inward_normals(bone.outline)
    cysts = []
    for _ in range(3):
        present, place, gap, contrast, rim = rng.random(5)
        radius = 0.05 * rng.lognormal(0.1, 0.4)
        if present >= probability:
            continue
        root = int(articular[int(place * len(articular))])
        centre = bone.outline[root : root + 1] + normals[root] * (radius + _CYST_CLEARANCE + 0.10 * gap)
        free = float(np.hypot(*(bone.outline - centre).T).min()) - _CYST_CLEARANCE
        cysts.append(Cyst(centre, min(radius, free), 0.2 + 0.6 * contrast, 0.2 * rim**2))
    return tuple(cyst for cyst in cysts if cyst.radius > 0.02)


def _growth_plate(joint: str, bone: Bone, patient: PatientStyle, difficulty: Difficulty) -> float | None:
    rng = stream(patient.seed, "growth-plates", patient.patient_id)
    # Phalanges and the metacarpal of the thumb grow at their base, other metacarpals, metatarsals and the bones of the
    # forearm at the end shown here. Carpal bones have no growth plate.
    grows = not bone.is_short and (not bone.is_proximal or joint_template(joint).kind in {"MCP", "MTP", "WRIST"})
    if rng.random() >= difficulty.growth_plates or not grows:
        return None
    return (_GROWTH_PLATE_HEAD if bone.is_proximal else _GROWTH_PLATE_BASE) + float(rng.normal(0, 0.03))


def paint_confounders(bone: Floats, depth: Floats, found: BoneConfounders, canvas: Canvas, window: Window) -> Floats:
    """Return the opacity of a bone with its sclerosis, cysts and growth plate, in joint coordinates of the image."""
    across, along = canvas.across[window], canvas.along[window]
    texture, patches = canvas.texture[window], canvas.patches[window]
    if found.sclerosis:
        near = bell(along, 0.0, 0.28) * bell(depth, 0.08, 0.10)
        bone = bone + np.float32(found.sclerosis) * near * (1 + np.float32(0.4) * patches)
    for cyst in found.cysts:
        x, y = np.float32(cyst.centre[0, 0]), np.float32(cyst.centre[0, 1])
        radius = np.hypot(across - x, along - y) / np.float32(cyst.radius)
        uneven = np.float32(0.14) * texture + np.float32(0.25) * patches
        radius = radius + uneven * bell(radius, 1.0, 0.5)
        bone = bone * (1 - np.float32(cyst.contrast) * (1 - ramp(radius, 0.35, 1.25)))
        bone = bone + np.float32(cyst.rim) * bell(radius, 1.25, 0.3)
    if found.growth_plate is not None:
        # A lucent, wavy line between two dense ones.
        wave = np.float32(0.02) * np.sin(np.float32(9) * across) + np.float32(0.012) * patches
        off = along - np.float32(found.growth_plate) - wave
        line = np.float32(0.5) * bell(off, 0.0, 0.03)
        edges = np.float32(0.16) * (bell(off, 0.07, 0.03) + bell(off, -0.07, 0.03))
        bone = bone * (1 - line + edges)
    return bone


def paint_overlap(
    soft: Floats, opacity: Floats, canvas: Canvas, patient: PatientStyle, rng: Rng
) -> tuple[Floats, Floats]:
    """Return soft tissue and opacity with a neighbouring finger that covers the joint."""
    side = rng.choice([-1.0, 1.0])
    slant = rng.normal(0, 0.25)
    off = canvas.across * np.float32(np.cos(slant)) + canvas.along * np.float32(np.sin(slant))
    off = off - np.float32(side * rng.uniform(0.75, 1.45))
    flesh = finger(off, np.float32(patient.flesh * 0.95)) * np.float32(rng.uniform(0.5, 1.0))
    depth = np.float32(rng.uniform(0.3, 0.42)) - np.abs(off)
    core = chord(depth - np.float32(patient.cortex))
    bone = np.float32(rng.uniform(0.5, 0.9)) * (chord(depth) - core) + np.float32(0.22 * patient.density) * core
    return soft + flesh, opacity + bone


def paint_ring(opacity: Floats, canvas: Canvas, joint: str, patient: PatientStyle, difficulty: Difficulty) -> Floats:
    """Return the opacity with a ring on the fourth digit, if the patient wears one."""
    template = joint_template(joint)
    rng = stream(patient.seed, "ring", patient.patient_id)
    if template.digit != 4 or rng.random() >= difficulty.rings:
        return opacity
    height = rng.uniform(0.75, 1.0) if template.kind == "MCP" else -rng.uniform(0.85, 1.1)
    bend = canvas.along - np.float32(height) - np.float32(rng.uniform(-0.12, 0.12)) * canvas.across**2
    width = np.float32(rng.uniform(0.06, 0.12))
    over = 1 - ramp(np.abs(canvas.across), 0.86 * patient.flesh, 0.9 * patient.flesh)
    ring = np.float32(1.8) * over * (1 - ramp(np.abs(bend), float(width), float(width) + 0.03))
    return np.asarray(opacity + ring, dtype=np.float32)


def paint_operation(opacity: Floats, operation: Operation, canvas: Canvas, joint: str, patient: PatientStyle) -> Floats:
    """Return the opacity of a joint after its operation."""
    rng = stream(patient.seed, "operation-look", patient.patient_id, joint)
    if operation == "prosthesis":
        return _with_prosthesis(opacity, canvas, rng)
    return _with_fusion(opacity, canvas, patient.density, rng)


def _with_prosthesis(bone: Floats, canvas: Canvas, rng: Rng) -> Floats:
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


def _with_fusion(bone: Floats, canvas: Canvas, density: float, rng: Rng) -> Floats:
    """Fill the joint space with bone, with wires or a screw in half of the joints."""
    across, along = canvas.across, canvas.along
    filling = np.float32(density) * (np.float32(0.62) + np.float32(0.12) * canvas.texture)
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
