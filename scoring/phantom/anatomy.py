"""Anatomy of the synthetic joints: outlines of bones, and features that all radiographs of a patient share.

Coordinates are in joint units: the base of the distal bone (in a wrist, the end of the radius) is 1 wide. x runs across
the joint, towards the thumb or great toe of a left hand or foot. y runs along the limb, from the joint space (0) to the
tip of the finger or toe (positive). A right hand or foot is drawn as a left one and mirrored.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.seeds import Rng, stream

Points = npt.NDArray[np.float64]

# Half outlines (right side) of the head and base that form a joint: pairs of x and y from the midline of the joint
# surface to the margin and along the shaft.
_HALVES = {
    "PIP head": "0 -.085  .13 -.045  .26 -.01  .36 -.045  .42 -.17  .425 -.38  .40 -.60  .37 -1.0  .355 -1.6  .37 -3.4",
    "PIP base": "0 .03  .20 .075  .38 .05  .475 .065  .51 .17  .48 .38  .415 .72  .355 1.2  .32 1.8  .31 3.4",
    "MCP head": "0 0  .15 -.02  .29 -.085  .39 -.20  .43 -.36  .425 -.54  .39 -.78  .33 -1.1  .28 -1.6  .27 -3.4",
    "MCP base": "0 .13  .22 .105  .40 .035  .49 .035  .535 .14  .50 .36  .42 .72  .355 1.2  .32 1.8  .31 3.4",
    "MCP1 head": "0 -.03  .20 -.02  .36 -.055  .46 -.16  .485 -.36  .45 -.58  .38 -.85  .32 -1.2  .29 -1.8  .32 -3.4",
    "MCP1 base": "0 .11  .22 .095  .42 .035  .50 .05  .535 .16  .485 .40  .39 .80  .33 1.3  .30 1.9  .33 3.4",
    "IP1 head": "0 -.08  .14 -.05  .30 -.01  .41 -.06  .465 -.20  .455 -.40  .39 -.62  .34 -1.0  .32 -1.6  .35 -3.4",
    "IP1 base": (
        "0 .03  .20 .07  .40 .045  .49 .065  .52 .17  .47 .36  .36 .70  .255 1.1  .21 1.5  .23 1.85  .17 2.08  0 2.14"
    ),
    "MTP head": "0 -.02  .14 -.03  .27 -.085  .36 -.20  .395 -.36  .37 -.52  .31 -.75  .25 -1.1  .22 -1.6  .23 -3.4",
    "MTP base": "0 .12  .20 .10  .38 .035  .47 .04  .51 .15  .46 .34  .35 .64  .26 1.0  .22 1.5  .23 3.4",
    "TOE head": "0 -.07  .16 -.05  .34 -.01  .45 -.06  .51 -.20  .50 -.40  .43 -.62  .37 -1.0  .35 -1.5  .38 -3.4",
    "TOE base": (
        "0 .03  .22 .07  .44 .045  .54 .065  .57 .17  .50 .36  .36 .62  .27 .92  .27 1.2  .34 1.42  .27 1.62  0 1.68"
    ),
}

# Whole outlines of the four sites of the Ratingen score in a left wrist, palm down. Radius and ulna are articular above
# the height after their names, scaphoid and lunate below it.
_WRIST_BONES = {
    ("radius", -0.34): (
        "-.30 -.10  -.12 -.13  .12 -.12  .36 -.04  .55 .12  .66 .10  .68 -.10  .60 -.40  .50 -.75  .44 -1.2  .42 -3.4"
        "  -.02 -3.4  -.04 -1.2  -.10 -.75  -.24 -.45  -.32 -.27"
    ),
    ("ulna", -0.44): (
        "-.42 -.22  -.40 -.34  -.44 -.55  -.50 -.85  -.52 -1.2  -.53 -3.4  -.83 -3.4  -.82 -1.2  -.82 -.85  -.84 -.55"
        "  -.87 -.30  -.86 -.10  -.83 .03  -.76 .02  -.71 -.13  -.56 -.17"
    ),
    ("scaphoid", 0.32): (".26 .12  .30 .03  .42 .05  .54 .20  .67 .38  .73 .60  .62 .72  .48 .62  .36 .46  .27 .30"),
    ("lunate", 0.20): "-.22 .08  -.10 -.03  .10 -.04  .23 .06  .25 .24  .17 .38  .02 .30  -.13 .38  -.24 .24",
}
_OTHER_WRIST_BONES = (
    "-.27 .12  -.25 .34  -.34 .52  -.54 .48  -.62 .30  -.52 .16  -.38 .08",
    "-.10 .48  .06 .36  .22 .48  .30 .68  .28 1.0  .06 1.06  -.11 1.0  -.14 .72",
    "-.36 .54  -.20 .46  -.14 .62  -.14 .98  -.36 1.02  -.54 .92  -.46 .66",
    ".44 .74  .62 .76  .82 .86  .76 1.08  .54 1.10  .33 1.0  .33 .78",
    ".32 1.08  .58 1.12  .52 1.5  .48 3.4  .32 3.4  .34 1.5",
    "-.06 1.09  .24 1.09  .20 1.5  .20 3.4  .02 3.4  .02 1.5",
    "-.36 1.07  -.12 1.05  -.12 1.5  -.12 3.4  -.30 3.4  -.29 1.5",
    "-.64 .98  -.40 1.03  -.38 1.5  -.42 3.4  -.58 3.4  -.56 1.5",
)

# Distance by which head and base of each kind can be pushed together before they touch, joint units.
CLOSING = {"PIP": 0.075, "MCP": 0.105, "MCP1": 0.09, "IP1": 0.065, "MTP": 0.1, "TOE": 0.065, "WRIST": 0.05}
# Height at which each metacarpal or metatarsal ends, joint units. That of the thumb is too far away to be in the image.
_HEIGHTS = {
    "MCP": {2: -0.05, 3: 0.12, 4: -0.05, 5: -0.35},
    "MTP": {1: -0.25, 2: 0.0, 3: -0.12, 4: -0.30, 5: -0.55},
}

OUTLINE_STEP = 0.006
_SMALL_BONES = 0.12
_MARGIN_HEAD = 0.44
_MARGIN_BASE = 0.30


@dataclass(frozen=True)
class JointTemplate:
    """Position and size of one joint in its image; a mirrored joint is described as if it were on the left.

    `tilt` is in degrees, positive if the fingertip leans towards the thumb's side of the image. `zoom` is the width of
    the base of the distal bone as a share of the image.
    """

    kind: str
    digit: int
    tilt: float
    zoom: float
    mirrored: bool = False

    @property
    def neighbours(self) -> tuple[tuple[int, float], ...]:
        """Neighbouring joints in the image: side (-1 or 1), and height above this joint in joint units."""
        heights = _HEIGHTS.get(self.kind, {})
        digits = ((side, self.digit - side) for side in (-1, 1))
        return tuple((side, heights[digit] - heights[self.digit]) for side, digit in digits if digit in heights)


_LEFT_TEMPLATES: dict[str, JointTemplate] = {
    "hand_left_1": JointTemplate("PIP", 5, -31, 0.36),
    "hand_left_2": JointTemplate("MCP", 5, -27, 0.47),
    "hand_left_3": JointTemplate("PIP", 4, -13, 0.42),
    "hand_left_4": JointTemplate("MCP", 4, -9, 0.51),
    "hand_left_5": JointTemplate("PIP", 3, 0, 0.45),
    "hand_left_6": JointTemplate("MCP", 3, 0, 0.56),
    "hand_left_7": JointTemplate("MCP", 2, 7, 0.56),
    "hand_left_8": JointTemplate("PIP", 2, 10, 0.43),
    "hand_left_9": JointTemplate("MCP1", 1, 37, 0.53),
    "hand_left_10": JointTemplate("IP1", 1, 31, 0.45),
    "foot_left_1": JointTemplate("MTP", 5, -16, 0.46),
    "foot_left_2": JointTemplate("MTP", 4, -10, 0.48),
    "foot_left_3": JointTemplate("MTP", 3, -5, 0.50),
    "foot_left_4": JointTemplate("MTP", 2, 0, 0.50),
    "foot_left_5": JointTemplate("TOE", 1, -9, 0.46),
    "wrist_left": JointTemplate("WRIST", 0, 0, 0.40),
}
TEMPLATES: dict[str, JointTemplate] = _LEFT_TEMPLATES | {
    joint.replace("left", "right"): replace(template, mirrored=True) for joint, template in _LEFT_TEMPLATES.items()
}


@dataclass(frozen=True)
class PatientStyle:
    """Features that all radiographs of a patient share; lengths in joint units.

    Attributes:
        seed: Seed of the phantom, which determines the bones together with `patient_id`.
        slenderness: Relative width of the shafts.
        density: Mineral content of spongy bone: about 0.6 in marked osteopenia, 1 in a healthy adult.
        cortex: Thickness of the compact shell at mid-shaft.
        joint_space: Width of the joint space.
        flesh: Half the width of the soft tissue of a finger.
        trabecula: Relative spacing of the trabecular net.
    """

    seed: int
    patient_id: str
    slenderness: float
    density: float
    cortex: float
    joint_space: float
    flesh: float
    trabecula: float


@dataclass(frozen=True)
class Bone:
    """One end of a bone, or a carpal bone, which is short and has no shaft.

    `outline` is closed and in joint units; `articular` is True for the points of its articular part. `name` is `head`
    or `base` in a finger or toe, otherwise that of the bone. A proximal bone is on the body's side of the joint space.
    """

    outline: Points
    articular: npt.NDArray[np.bool_]
    name: str
    is_proximal: bool
    is_short: bool = False


def patient_style(seed: int, patient_id: str) -> PatientStyle:
    """Draw the features that all radiographs of a patient share."""
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


def joint_template(joint: str) -> JointTemplate:
    """Return the template of a joint column, or raise InvalidRequest if there is none."""
    if joint not in TEMPLATES:
        raise InvalidRequest(f"There is no phantom of joint {joint!r}. Use one of {', '.join(TEMPLATES)}.")
    return TEMPLATES[joint]


def joint_bones(joint: str, patient: PatientStyle, difficulty: Difficulty = PLAIN) -> tuple[Bone, ...]:
    """Return the intact bones of a joint column, with natural notches as frequent as the difficulty says.

    These are the head of the proximal and the base of the distal bone of a finger or toe, and radius, ulna, scaphoid
    and lunate of a wrist.
    """
    kind = joint_template(joint).kind
    rng = stream(patient.seed, "bones", patient.patient_id, joint)
    bones = []
    if kind == "WRIST":
        for (name, limit), text in _WRIST_BONES.items():
            outline = _varied_outline(text, rng)
            is_forearm = name in {"radius", "ulna"}
            articular = outline[:, 1] > limit if is_forearm else outline[:, 1] < limit
            bones.append(Bone(outline, articular, name, is_forearm, is_short=not is_forearm))
        return tuple(map(_turned, bones))
    notch_rng = stream(patient.seed, "notches", patient.patient_id, joint)
    for name, is_head in (("head", True), ("base", False)):
        outline = _outline_of_halves(_HALVES[f"{kind} {name}"], patient, rng)
        outline = _notched(outline, difficulty.notches, notch_rng, is_head=is_head)
        articular = outline[:, 1] > -_MARGIN_HEAD if is_head else outline[:, 1] < _MARGIN_BASE
        bones.append(Bone(outline, articular, name, is_proximal=is_head))
    return tuple(map(_turned, bones))


def adjacent_bones(joint: str, patient: PatientStyle) -> tuple[Bone, ...]:
    """Return the other carpal bones and the metacarpal bases; none if the joint is not a wrist."""
    if joint_template(joint).kind != "WRIST":
        return ()
    rng = stream(patient.seed, "bystanders", patient.patient_id, joint)
    outlines = [_varied_outline(text, rng) for text in _OTHER_WRIST_BONES]
    nowhere = np.zeros(0, dtype=np.bool_)
    return tuple(Bone(outline, nowhere, "other", False, bool(outline[:, 1].max() < 2)) for outline in outlines)


def _turned(bone: Bone) -> Bone:
    """Start the outline of a bone far from the joint, so that its articular part is one run of points."""
    turn = int(np.argmin(bone.outline[:, 1] if bone.is_proximal else -bone.outline[:, 1]))
    return replace(bone, outline=np.roll(bone.outline, -turn, axis=0), articular=np.roll(bone.articular, -turn))


def _outline_of_halves(half: str, patient: PatientStyle, rng: Rng) -> Points:
    right = _control_points(half)
    sides = []
    for side in (right, right * np.array([-1.0, 1.0])):
        varied = side.copy()
        varied[1:, 0] *= 1 + rng.normal(0, 0.025) + rng.normal(0, 0.018, len(side) - 1)
        varied[1:8, 1] += rng.normal(0, 0.012, 7)
        sides.append(varied)
    for varied in sides:
        varied[np.abs(sides[0][:, 1]) > 0.6, 0] *= patient.slenderness
    return _resample(smooth_closed(np.vstack([sides[0], sides[1][:0:-1]])))


def _varied_outline(text: str, rng: Rng) -> Points:
    points = _control_points(text)
    middle = points.mean(axis=0)
    # Cutting the corners makes a small bone smaller.
    scale = 1 + rng.normal(0, 0.02) + (_SMALL_BONES if np.abs(points).max() < 2 else 0)
    varied = middle + (points - middle) * scale + rng.normal(0, 0.01, points.shape)
    return _resample(smooth_closed(varied))


def _notched(outline: Points, probability: float, rng: Rng, *, is_head: bool) -> Points:
    """Return the outline with natural dents, which are intact bone; each margin has one with this probability."""
    for side in (-1.0, 1.0):
        present, height, depth, width = rng.random(4)
        if present >= probability:
            continue
        # The dent is where the outline is closest to a point next to the bone, at the height of the bare area.
        near = np.array([side, -0.12 - 0.26 * height if is_head else 0.06 + 0.22 * height])
        deepest = int(np.argmin(np.hypot(*(outline - near).T)))
        away = np.hypot(*(outline - outline[deepest]).T)
        dent = (0.02 + 0.04 * depth) * np.exp(-((away / (0.06 + 0.06 * width)) ** 2))
        outline = _resample(outline + dent[:, None] * inward_normals(outline))
    return outline


@lru_cache(maxsize=32)
def _control_points(text: str) -> Points:
    return np.array(text.split(), dtype=np.float64).reshape(-1, 2)


def smooth_closed(points: Points, rounds: int = 3) -> Points:
    """Smooth a closed polygon by Chaikin's corner cutting."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1).reshape(-1, 2)
    return points


def _resample(points: Points) -> Points:
    """Return points on a closed polygon, `OUTLINE_STEP` apart."""
    closed = np.vstack([points, points[:1]])
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.arange(0.0, travelled[-1], OUTLINE_STEP)
    return np.stack([np.interp(at, travelled, closed[:, 0]), np.interp(at, travelled, closed[:, 1])], axis=1)


def inward_normals(outline: Points) -> Points:
    """Return the unit vectors that point into the bone at each point of a closed outline."""
    along = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    x, y = outline[:, 0], outline[:, 1]
    turns_left = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 0
    across = np.stack([-along[:, 1], along[:, 0]] if turns_left else [along[:, 1], -along[:, 0]], axis=1)
    return np.asarray(across / np.hypot(across[:, 0], across[:, 1])[:, None], dtype=np.float64)
