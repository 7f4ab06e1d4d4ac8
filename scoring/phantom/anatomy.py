"""Bones and joints of the phantom: outlines in joint units, and what stays the same on all films of a patient.

Geometry lives in joint units: the base of the distal bone is 1 wide, x runs across the joint (to the index-finger side
of a left hand), y along the finger with the fingertip at positive y and the joint space at 0.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.seeds import stream

Points = npt.NDArray[np.float64]

# Half outlines (right side) from the midline of the joint surface out to the margin and along the shaft.
_HEAD_PIP = "0 -.085  .13 -.045  .26 -.01  .36 -.045  .42 -.17  .425 -.38  .40 -.60  .37 -1.0  .355 -1.6  .37 -3.4"
_BASE_PIP = "0 .03  .20 .075  .38 .05  .475 .065  .51 .17  .48 .38  .415 .72  .355 1.2  .32 1.8  .31 3.4"
_HEAD_MCP = "0 0  .15 -.02  .29 -.085  .39 -.20  .43 -.36  .425 -.54  .39 -.78  .33 -1.1  .28 -1.6  .27 -3.4"
_BASE_MCP = "0 .13  .22 .105  .40 .035  .49 .035  .535 .14  .50 .36  .42 .72  .355 1.2  .32 1.8  .31 3.4"
_HEAD_MCP1 = "0 -.03  .20 -.02  .36 -.055  .46 -.16  .485 -.36  .45 -.58  .38 -.85  .32 -1.2  .29 -1.8  .32 -3.4"
_BASE_MCP1 = "0 .11  .22 .095  .42 .035  .50 .05  .535 .16  .485 .40  .39 .80  .33 1.3  .30 1.9  .33 3.4"
_HEAD_IP1 = "0 -.08  .14 -.05  .30 -.01  .41 -.06  .465 -.20  .455 -.40  .39 -.62  .34 -1.0  .32 -1.6  .35 -3.4"
_BASE_IP1 = (
    "0 .03  .20 .07  .40 .045  .49 .065  .52 .17  .47 .36  .36 .70  .255 1.1  .21 1.5  .23 1.85  .17 2.08  0 2.14"
)

# By how much head and base of each kind can be pushed together before they touch.
CLOSING = {"PIP": 0.075, "MCP": 0.105, "MCP1": 0.09, "IP1": 0.065}
# How far up the hand each metacarpal ends, and the sides on which a neighbour may be seen.
MCP_HEIGHT = {1: -1.2, 2: -0.05, 3: 0.12, 4: -0.05, 5: -0.35}
NEIGHBOURS = {("MCP", 2): (-1,), ("MCP", 3): (-1, 1), ("MCP", 4): (-1, 1), ("MCP", 5): (1,)}

OUTLINE_STEP = 0.006
_MARGIN_HEAD = 0.44
_MARGIN_BASE = 0.30


@dataclass(frozen=True)
class JointLook:
    """How one joint of the left hand stands in its crop."""

    kind: str
    digit: int
    tilt: float
    """Degrees by which the fingertip leans to the index-finger side of the picture."""
    zoom: float
    """Width of the distal bone's base as a share of the crop."""


LOOKS: dict[str, JointLook] = {
    "hand_left_1": JointLook("PIP", 5, -31, 0.36),
    "hand_left_2": JointLook("MCP", 5, -27, 0.47),
    "hand_left_3": JointLook("PIP", 4, -13, 0.42),
    "hand_left_4": JointLook("MCP", 4, -9, 0.51),
    "hand_left_5": JointLook("PIP", 3, 0, 0.45),
    "hand_left_6": JointLook("MCP", 3, 0, 0.56),
    "hand_left_7": JointLook("MCP", 2, 7, 0.56),
    "hand_left_8": JointLook("PIP", 2, 10, 0.43),
    "hand_left_9": JointLook("MCP1", 1, 37, 0.53),
    "hand_left_10": JointLook("IP1", 1, 31, 0.45),
}


@dataclass(frozen=True)
class PatientStyle:
    """What stays the same on all films of a patient."""

    seed: int
    patient_id: str
    slenderness: float
    density: float
    """Mineral content of spongy bone; about 0.6 in marked osteopenia, 1 in a healthy adult."""
    cortex: float
    """Thickness of the compact shell at mid-shaft, joint units."""
    joint_space: float
    flesh: float
    """Half width of the finger's soft tissue, joint units."""
    trabecula: float
    """Spacing of the trabecular net, relative."""


@dataclass(frozen=True)
class Bone:
    """One bone end: a closed outline in joint units and which of its points belong to the articular outline."""

    outline: Points
    articular: npt.NDArray[np.bool_]
    is_head: bool


def patient_style(seed: int, patient_id: str) -> PatientStyle:
    """Draw the constant looks of one patient's hand."""
    rng = stream(seed, "patient-style", patient_id)
    return PatientStyle(
        seed=seed,
        patient_id=patient_id,
        slenderness=float(np.clip(rng.normal(1.0, 0.06), 0.85, 1.16)),
        density=float(np.clip(rng.normal(0.97, 0.14), 0.62, 1.3)),
        cortex=float(np.clip(rng.normal(0.115, 0.022), 0.06, 0.17)),
        joint_space=float(np.clip(rng.normal(0.085, 0.018), 0.045, 0.14)),
        flesh=float(np.clip(rng.normal(0.98, 0.10), 0.75, 1.3)),
        trabecula=float(np.clip(rng.lognormal(0.0, 0.18), 0.7, 1.5)),
    )


@lru_cache(maxsize=32)
def _control_points(text: str) -> Points:
    return np.array(text.split(), dtype=np.float64).reshape(-1, 2)


def smooth_closed(points: Points, rounds: int = 3) -> Points:
    """Chaikin's corner cutting on a closed polygon."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1).reshape(-1, 2)
    return points


def _resample(points: Points, step: float) -> Points:
    closed = np.vstack([points, points[:1]])
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.arange(0.0, travelled[-1], step)
    return np.stack([np.interp(at, travelled, closed[:, 0]), np.interp(at, travelled, closed[:, 1])], axis=1)


def inward_normals(outline: Points) -> Points:
    """Unit vectors into the bone at each point of its closed outline."""
    along = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    x, y = outline[:, 0], outline[:, 1]
    turns_left = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 0
    across = (
        np.stack([-along[:, 1], along[:, 0]], axis=1) if turns_left else np.stack([along[:, 1], -along[:, 0]], axis=1)
    )
    normals: Points = across / np.hypot(across[:, 0], across[:, 1])[:, None]
    return normals


def _notched(outline: Points, probability: float, rng: np.random.Generator, *, is_head: bool) -> Points:
    """The outline with natural dents at its two margins, each with this probability; they belong to the bone."""
    for side in (-1.0, 1.0):
        present, height, depth, width = rng.random(4)
        if present >= probability:
            continue
        # A point beside the bone, at the height of the bare area: the dent is where the outline comes nearest to it.
        beside = np.array([side, -0.12 - 0.26 * height if is_head else 0.06 + 0.22 * height])
        deepest = int(np.argmin(np.hypot(*(outline - beside).T)))
        away = np.hypot(*(outline - outline[deepest]).T)
        dent = (0.02 + 0.04 * depth) * np.exp(-((away / (0.06 + 0.06 * width)) ** 2))
        outline = _resample(outline + dent[:, None] * inward_normals(outline), OUTLINE_STEP)
    return outline


def _bone(
    half: str,
    slenderness: float,
    rng: np.random.Generator,
    notches: float,
    notch_rng: np.random.Generator,
    *,
    is_head: bool,
) -> Bone:
    right = _control_points(half).copy()
    left = right.copy()
    left[:, 0] *= -1
    for side in (right, left):
        side[1:, 0] *= 1 + rng.normal(0, 0.025) + rng.normal(0, 0.018, len(side) - 1)
        side[1:8, 1] += rng.normal(0, 0.012, 7)
    shaft = np.abs(right[:, 1]) > 0.6
    right[shaft, 0] *= slenderness
    left[shaft, 0] *= slenderness
    ring = np.vstack([right, left[:0:-1]])
    outline = _resample(smooth_closed(ring), OUTLINE_STEP)
    outline = _notched(outline, notches, notch_rng, is_head=is_head)
    articular = outline[:, 1] > -_MARGIN_HEAD if is_head else outline[:, 1] < _MARGIN_BASE
    # The outline starts at the midline of the joint surface; turn it so that the articular part is one run of points.
    turn = int(np.argmin(outline[:, 1] if is_head else -outline[:, 1]))
    return Bone(np.roll(outline, -turn, axis=0), np.roll(articular, -turn), is_head)


def bone_pair(joint: str, patient: PatientStyle, difficulty: Difficulty = PLAIN) -> tuple[Bone, Bone]:
    """The two intact bone ends of a joint.

    Args:
        joint: Registry column of one of the ten joints of the left hand.
        patient: The patient whose joint it is.
        difficulty: How often bones have natural notches.

    Returns:
        The proximal bone (head) and the distal bone (base), each in its own frame.

    Raises:
        InvalidRequest: The phantom has no drawing of this joint.
    """
    rng = stream(patient.seed, "bones", patient.patient_id, joint)
    kind = joint_look(joint).kind
    head, base = {
        "PIP": (_HEAD_PIP, _BASE_PIP),
        "MCP": (_HEAD_MCP, _BASE_MCP),
        "MCP1": (_HEAD_MCP1, _BASE_MCP1),
        "IP1": (_HEAD_IP1, _BASE_IP1),
    }[kind]
    notch_rng = stream(patient.seed, "notches", patient.patient_id, joint)

    def bone(half: str, *, is_head: bool) -> Bone:
        return _bone(half, patient.slenderness, rng, difficulty.notches, notch_rng, is_head=is_head)

    return bone(head, is_head=True), bone(base, is_head=False)


def joint_look(joint: str) -> JointLook:
    """How a joint stands in its crop; InvalidRequest for one that is not drawn."""
    try:
        return LOOKS[joint]
    except KeyError:
        known = ", ".join(LOOKS)
        raise InvalidRequest(f"The phantom draws no joint named {joint!r}; it draws {known}.") from None
