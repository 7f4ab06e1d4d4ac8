"""What makes a joint hard to read and is no erosion: spurs, cysts, sclerosis, growth plates, overlap, rings.

Nothing here touches the articular outline, so the true erosion stays what it was. What belongs to a joint is on all
radiographs of its patient; what lies over it is drawn anew for each radiograph. Each kind has a random stream of its own.
"""

from dataclasses import dataclass, replace

import numpy as np

from scoring.phantom.anatomy import Bone, PatientStyle, Points, inward_normals, joint_look, smooth_closed
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.raster import Canvas, Floats, bell, chord, finger, ramp
from scoring.phantom.seeds import stream

_CYST_CLEARANCE = 0.025
_GROWTH_PLATE_BASE, _GROWTH_PLATE_HEAD = 0.34, -0.55


@dataclass(frozen=True)
class Spur:
    """A bony lip at the margin of a bone, in the bone's frame."""

    outline: Points
    root: int
    """The point of the bone's outline it grows from; an erosion that takes this point takes the spur."""


@dataclass(frozen=True)
class Cyst:
    """A round hole in the spongy bone that reaches no point of the outline, in the bone's frame."""

    centre: Points
    """Shape (1, 2)."""
    radius: float
    contrast: float
    rim: float


@dataclass(frozen=True)
class BoneTrouble:
    """What disturbs the picture of one bone."""

    spurs: tuple[Spur, ...] = ()
    cysts: tuple[Cyst, ...] = ()
    sclerosis: float = 0.0
    """Density of a broad band below the surface."""
    growth_plate: float | None = None
    """Height of the open growth plate in the bone's frame."""


@dataclass(frozen=True)
class BiteLook:
    """How visible the bites of a joint are; by default, all of them are as clear as can be.

    Attributes:
        depth: Depth of the bites, relative.
        contrast: Share of the bone's opacity that a bite takes away, relative.
        softness: Softer border, in units of the bite's radius.
        hiding: By how much places differ.
        waves: Radians a joint unit across and along, and a phase: where bites are hidden.
    """

    depth: float = 1.0
    contrast: float = 1.0
    softness: float = 0.0
    hiding: float = 0.0
    waves: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def of_size(self, erosion_percent: float) -> "BiteLook":
        """The look at this size of the erosion: what is large goes deep, and through the whole bone."""
        large = min(1.0, erosion_percent / 75)
        return replace(
            self,
            depth=self.depth + large * max(0.0, 1 - self.depth),
            contrast=self.contrast + large * (1 - self.contrast),
            hiding=self.hiding * (1 - 0.8 * large),
        )

    def visible(self, across: Floats, along: Floats) -> Floats:
        """Visibility of a bite at each place, 1 - hiding to 1."""
        x, y, phase = (np.float32(number) for number in self.waves)
        share: Floats = 1 - np.float32(self.hiding / 2) * (1 + np.cos(x * across + y * along + phase))
        return share


@dataclass(frozen=True)
class JointTrouble:
    """What disturbs the picture of one joint on all radiographs of its patient."""

    bones: tuple[BoneTrouble, ...]
    """One a bone of the joint, in the order of `joint_bones`."""
    bite: BiteLook = BiteLook()
    coupling: float = 1.0
    """How much of the usual collapse a severe erosion brings."""
    narrowing: float = 0.0
    """Lost share of the joint space."""
    slip: float = 0.0
    """To the side, joint units; the joint also deviates by as many radians."""

    def of_size(self, erosion_percent: float) -> "JointTrouble":
        """The same with an erosion of this size."""
        return replace(self, bite=self.bite.of_size(erosion_percent))


def joint_trouble(joint: str, bones: tuple[Bone, ...], patient: PatientStyle, difficulty: Difficulty) -> JointTrouble:
    """Draw what disturbs one joint of a patient at this difficulty.

    Args:
        joint: Registry column.
        bones: The bones of the joint, intact.
        patient: Whose joint it is.
        difficulty: How often and how much.
    """
    if difficulty == PLAIN:
        # What follows would come to the same, slowly.
        return JointTrouble(tuple(BoneTrouble() for _ in bones))
    rng = stream(patient.seed, "bite-look", patient.patient_id, joint)
    waves = (float(rng.normal(0, 4)), float(rng.normal(0, 4)), float(rng.uniform(0, 2 * np.pi)))
    bite = BiteLook(
        depth=float(rng.uniform(*difficulty.bite_depth)),
        contrast=float(rng.uniform(*difficulty.bite_contrast)),
        softness=difficulty.bite_softness * float(rng.random()),
        hiding=difficulty.bite_hiding * float(rng.random()),
        waves=waves,
    )
    stance = stream(patient.seed, "stance-without-erosion", patient.patient_id, joint)
    return JointTrouble(
        bones=tuple(_bone_trouble(joint, bone, patient, difficulty) for bone in bones),
        bite=bite,
        coupling=float(stance.uniform(*difficulty.coupling)),
        narrowing=float(min(stance.exponential(), 3.5)) * difficulty.narrowing,
        slip=float(stance.standard_t(4)) * difficulty.malalignment,
    )


def _bone_trouble(joint: str, bone: Bone, patient: PatientStyle, difficulty: Difficulty) -> BoneTrouble:
    def of(what: str) -> np.random.Generator:
        return stream(patient.seed, what, patient.patient_id, joint, bone.name)

    sclerosis = of("sclerosis")
    dense = sclerosis.random() < difficulty.sclerosis
    return BoneTrouble(
        spurs=_spurs(bone, of("osteophytes"), difficulty.osteophytes),
        cysts=_cysts(bone, of("cysts"), difficulty.cysts),
        sclerosis=float(sclerosis.uniform(0.08, 0.35)) if dense else 0.0,
        growth_plate=_growth_plate(joint, bone, patient, difficulty),
    )


def _spurs(bone: Bone, rng: np.random.Generator, probability: float) -> tuple[Spur, ...]:
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


def _cysts(bone: Bone, rng: np.random.Generator, probability: float) -> tuple[Cyst, ...]:
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
    # Phalanges grow at their base, as does the metacarpal of the thumb; the other metacarpals, the metatarsals and the
    # bones of the forearm grow at this end; carpal bones have no growth plate.
    grows = not bone.is_short and (not bone.is_proximal or joint_look(joint).kind in {"MCP", "MTP", "WRIST"})
    if rng.random() >= difficulty.growth_plates or not grows:
        return None
    return (_GROWTH_PLATE_HEAD if bone.is_proximal else _GROWTH_PLATE_BASE) + float(rng.normal(0, 0.03))


def paint_cyst(bone: Floats, cyst: Cyst, canvas: Canvas, window: tuple[slice, slice]) -> Floats:
    """The opacity of a bone with a cyst in it; the cyst's centre is in joint units of the picture."""
    x, y = np.float32(cyst.centre[0, 0]), np.float32(cyst.centre[0, 1])
    radius = np.hypot(canvas.across[window] - x, canvas.along[window] - y) / np.float32(cyst.radius)
    uneven = np.float32(0.14) * canvas.texture[window] + np.float32(0.25) * canvas.patches[window]
    radius = radius + uneven * bell(radius, 1.0, 0.5)
    painted: Floats = bone * (1 - np.float32(cyst.contrast) * (1 - ramp(radius, 0.35, 1.25)))
    return painted + np.float32(cyst.rim) * bell(radius, 1.25, 0.3)


def paint_growth_plate(bone: Floats, height: float, canvas: Canvas, window: tuple[slice, slice]) -> Floats:
    """The opacity of a bone with an open growth plate: a lucent, wavy line between two dense ones."""
    wave = np.float32(0.02) * np.sin(np.float32(9) * canvas.across[window]) + np.float32(0.012) * canvas.patches[window]
    off = canvas.along[window] - np.float32(height) - wave
    line = np.float32(0.5) * bell(off, 0.0, 0.03)
    edges = np.float32(0.16) * (bell(off, 0.07, 0.03) + bell(off, -0.07, 0.03))
    painted: Floats = bone * (1 - line + edges)
    return painted


def paint_overlap(
    canvas: Canvas, joint: str, patient: PatientStyle, sop_iuid: str, difficulty: Difficulty
) -> tuple[Floats, Floats] | None:
    """Soft tissue and bone of a neighbouring finger that lies over the joint on this radiograph; None: nothing does.

    Returns:
        Thickness of soft tissue and opacity of bone to be added.
    """
    if not difficulty.overlaps:
        return None
    rng = stream(patient.seed, "overlap", sop_iuid, joint)
    if rng.random() >= difficulty.overlaps:
        return None
    side = rng.choice([-1.0, 1.0])
    slant = rng.normal(0, 0.25)
    off = canvas.across * np.float32(np.cos(slant)) + canvas.along * np.float32(np.sin(slant))
    off = off - np.float32(side * rng.uniform(0.75, 1.45))
    flesh = finger(off, np.float32(patient.flesh * 0.95)) * np.float32(rng.uniform(0.5, 1.0))
    depth = np.float32(rng.uniform(0.3, 0.42)) - np.abs(off)
    core = chord(depth - np.float32(patient.cortex))
    bone = np.float32(rng.uniform(0.5, 0.9)) * (chord(depth) - core) + np.float32(0.22 * patient.density) * core
    return flesh, bone


def paint_ring(canvas: Canvas, joint: str, patient: PatientStyle, difficulty: Difficulty) -> Floats | None:
    """Opacity of a ring on the ring finger's proximal phalanx; None: the patient wears none, or it is out of reach."""
    look = joint_look(joint)
    if look.digit != 4 or not difficulty.rings:
        return None
    rng = stream(patient.seed, "ring", patient.patient_id)
    if rng.random() >= difficulty.rings:
        return None
    height = rng.uniform(0.75, 1.0) if look.kind == "MCP" else -rng.uniform(0.85, 1.1)
    bend = canvas.along - np.float32(height) - np.float32(rng.uniform(-0.12, 0.12)) * canvas.across**2
    width = np.float32(rng.uniform(0.06, 0.12))
    over = 1 - ramp(np.abs(canvas.across), 0.86 * patient.flesh, 0.9 * patient.flesh)
    ring: Floats = np.float32(1.8) * over * (1 - ramp(np.abs(bend), float(width), float(width) + 0.03))
    return ring
