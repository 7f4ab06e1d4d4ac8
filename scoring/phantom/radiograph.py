"""Synthetic radiographs of finger joints, drawn from the anatomy, with erosions of a known size.

Geometry lives in joint units: the base of the distal bone is 1 wide, x runs across the joint (to the index-finger side
of a left hand), y along the finger with the fingertip at positive y and the joint space at 0. An erosion of p percent
removes p percent of the articular outline of the two bones, measured along the outline. Defects begin at the margins
(the bare areas, where cartilage ends) and grow: a larger erosion of the same joint contains the smaller one.

Sources: sites and looks of erosions after Rau and Wassenberg, "Scoring methods" (Ratingen score: share of the joint
surface that is destroyed); beam through a bone as a shell of compact bone around a spongy core.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from scoring.errors import InvalidRequest
from scoring.phantom.seeds import stream

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

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
_CLOSING = {"PIP": 0.075, "MCP": 0.105, "MCP1": 0.09, "IP1": 0.065}
# How far up the hand each metacarpal ends, and the sides on which a neighbour may be seen.
_MCP_HEIGHT = {1: -1.2, 2: -0.05, 3: 0.12, 4: -0.05, 5: -0.35}
_NEIGHBOURS = {("MCP", 2): (-1,), ("MCP", 3): (-1, 1), ("MCP", 4): (-1, 1), ("MCP", 5): (1,)}

_OUTLINE_STEP = 0.006
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
class FilmStyle:
    """What all joints of one film share: detector, exposure, how the hand lay."""

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


@dataclass(frozen=True)
class Bone:
    """One bone end: a closed outline in joint units and which of its points belong to the articular outline."""

    outline: Points
    articular: npt.NDArray[np.bool_]
    is_head: bool


@dataclass(frozen=True)
class Defect:
    """The bites an erosion takes out of one bone: discs in joint units."""

    centres: Points
    radii: npt.NDArray[np.float64]
    removed: npt.NDArray[np.bool_]
    """For each point of the bone's outline: eroded away."""


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


def film_style(seed: int, sop_iuid: str) -> FilmStyle:
    """Draw what all joints of one film share."""
    rng = stream(seed, "film-style", sop_iuid)
    flat = rng.random() < 0.13
    background = rng.uniform(40, 85) if flat else abs(rng.normal(2.0, 2.5))
    return FilmStyle(
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


@lru_cache(maxsize=32)
def _control_points(text: str) -> Points:
    return np.array(text.split(), dtype=np.float64).reshape(-1, 2)


def _smooth_closed(points: Points, rounds: int = 3) -> Points:
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


def _bone(half: str, *, is_head: bool, slenderness: float, rng: np.random.Generator) -> Bone:
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
    outline = _resample(_smooth_closed(ring), _OUTLINE_STEP)
    articular = outline[:, 1] > -_MARGIN_HEAD if is_head else outline[:, 1] < _MARGIN_BASE
    # The outline starts at the midline of the joint surface; turn it so that the articular part is one run of points.
    turn = int(np.argmin(outline[:, 1] if is_head else -outline[:, 1]))
    return Bone(np.roll(outline, -turn, axis=0), np.roll(articular, -turn), is_head)


def bone_pair(joint: str, patient: PatientStyle) -> tuple[Bone, Bone]:
    """The two intact bone ends of a joint.

    Args:
        joint: Registry column of one of the ten joints of the left hand.
        patient: The patient whose joint it is.

    Returns:
        The proximal bone (head) and the distal bone (base), each in its own frame.

    Raises:
        InvalidRequest: The phantom has no drawing of this joint.
    """
    rng = stream(patient.seed, "bones", patient.patient_id, joint)
    kind = _look(joint).kind
    head, base = {
        "PIP": (_HEAD_PIP, _BASE_PIP),
        "MCP": (_HEAD_MCP, _BASE_MCP),
        "MCP1": (_HEAD_MCP1, _BASE_MCP1),
        "IP1": (_HEAD_IP1, _BASE_IP1),
    }[kind]
    return (
        _bone(head, is_head=True, slenderness=patient.slenderness, rng=rng),
        _bone(base, is_head=False, slenderness=patient.slenderness, rng=rng),
    )


def _look(joint: str) -> JointLook:
    try:
        return LOOKS[joint]
    except KeyError:
        known = ", ".join(LOOKS)
        raise InvalidRequest(f"The phantom draws no joint named {joint!r}; it draws {known}.") from None


def erode(bones: tuple[Bone, Bone], erosion_percent: float, rng: np.random.Generator) -> tuple[Defect, Defect]:
    """Lay out the defects that remove `erosion_percent` of the articular outline.

    Every point of the articular outline gets a time at which the erosion reaches it: defects start at the four margins
    (later also inside the surface) and spread along the outline, each at its own speed. The points reached first are
    removed until their length is the asked share. The bite at a removed point is a disc that does not reach any kept
    point of the outline, so the removed share is exact up to the outline's step.

    Args:
        bones: Proximal and distal bone.
        erosion_percent: 0 to 100.
        rng: Generator of this patient's joint; the same one gives nested defects as the percentage grows.

    Returns:
        The defects of the proximal and of the distal bone.
    """
    reached: list[npt.NDArray[np.float64]] = []
    ruggedness: list[npt.NDArray[np.float64]] = []
    for bone in bones:
        n_points = int(bone.articular.sum())
        place = (np.arange(n_points) - (n_points - 1) / 2) * _OUTLINE_STEP
        reach = place[-1]
        sites = np.array([rng.uniform(-0.92, -0.6), rng.uniform(0.6, 0.92), rng.uniform(-0.5, 0.5)]) * reach
        onset = np.array([rng.exponential(0.3), rng.exponential(0.3), 0.5 + rng.exponential(0.5)])
        speed = rng.lognormal(0.0, 0.45, 3)
        reached.append((onset + np.abs(place[:, None] - sites) / speed).min(axis=1))
        bumps = ndimage.gaussian_filter1d(rng.standard_normal(n_points), 0.05 / _OUTLINE_STEP, mode="nearest")
        ruggedness.append(bumps / max(float(bumps.std()), 1e-9))
    depth = rng.uniform(0.11, 0.22)

    times = np.concatenate(reached)
    n_removed = round(len(times) * erosion_percent / 100)
    order = np.argsort(times, kind="stable")
    gone = np.zeros(len(times), dtype=bool)
    gone[order[:n_removed]] = True

    defects = []
    for bone, part, bumps in zip(bones, np.split(gone, [len(reached[0])]), ruggedness, strict=True):
        removed = np.zeros(len(bone.outline), dtype=bool)
        removed[np.flatnonzero(bone.articular)] = part
        centres = bone.outline[removed]
        limit = depth * (1 + 0.7 * erosion_percent / 100) * np.clip(1 + 0.4 * bumps[part], 0.3, 1.8)
        defects.append(Defect(centres, np.minimum(limit, _distance_to_kept(bone.outline, removed)), removed))
    return defects[0], defects[1]


def _distance_to_kept(outline: Points, removed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    centres = outline[removed]
    if not len(centres):
        return np.zeros(0)
    near = ndimage.binary_dilation(removed, iterations=80) & ~removed
    kept = outline[near]
    gaps = centres[:, None, :] - kept[None, :, :]
    nearest: npt.NDArray[np.float64] = np.sqrt((gaps * gaps).sum(axis=2).min(axis=1))
    return nearest * 0.98


@dataclass(frozen=True)
class _View:
    """From joint units to pixels: turn, scale, shift."""

    scale: float
    angle: float
    centre: tuple[float, float]

    def to_pixels(self, points: Points) -> Points:
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        x, y = points[:, 0] * self.scale, points[:, 1] * self.scale
        return np.stack([self.centre[0] + cosine * x + sine * y, self.centre[1] + sine * x - cosine * y], axis=1)

    def grid(self, side: int) -> tuple[Floats, Floats]:
        """Joint coordinates (across, along) of every pixel."""
        cosine, sine = np.float32(np.cos(self.angle) / self.scale), np.float32(np.sin(self.angle) / self.scale)
        x = np.arange(side, dtype=np.float32)[None, :] - np.float32(self.centre[0])
        y = np.arange(side, dtype=np.float32)[:, None] - np.float32(self.centre[1])
        return cosine * x + sine * y, sine * x - cosine * y


@dataclass(frozen=True)
class _Placed:
    """A bone in joint coordinates of the picture, with what is bitten out of it."""

    outline: Points
    centres: Points
    radii: npt.NDArray[np.float64]
    is_head: bool
    contrast: float
    sclerosis: float


def _place(points: Points, shift: tuple[float, float], turn: float, pivot: float) -> Points:
    cosine, sine = np.cos(turn), np.sin(turn)
    x, y = points[:, 0], points[:, 1] - pivot
    return np.stack([cosine * x - sine * y + shift[0], sine * x + cosine * y + pivot + shift[1]], axis=1)


@lru_cache(maxsize=1)
def _texture_bank() -> Floats:
    """Tiles of a net of bright threads that run mostly along y, mean 0 and spread 1: (tile, 256, 256)."""
    rng = np.random.default_rng(20_171_222)
    tiles = []
    for _ in range(6):
        fine = ndimage.gaussian_filter(rng.standard_normal((256, 256)), (5.5, 1.5), mode="wrap")
        cross = ndimage.gaussian_filter(rng.standard_normal((256, 256)), (1.8, 2.6), mode="wrap")
        threads = np.exp(-((fine / fine.std()) ** 2) * 2.2) + 0.6 * np.exp(-((cross / cross.std()) ** 2) * 2.2)
        cloud = ndimage.gaussian_filter(rng.standard_normal((256, 256)), 14, mode="wrap")
        tile = threads - threads.mean() + 0.18 * cloud / cloud.std()
        tiles.append(tile / tile.std())
    return np.asarray(tiles, dtype=np.float32)


def _ramp(values: Floats, low: float, high: float) -> Floats:
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Floats = share * share * (3 - 2 * share)
    return smooth


def _coverage(polygon: Points, side: int) -> Image.Image:
    canvas = Image.new("L", (side * 2, side * 2), 0)
    ImageDraw.Draw(canvas).polygon(((polygon + 0.5) * 2 - 0.5).ravel().tolist(), fill=255)
    return canvas


def _bites(placed: _Placed, view: _View, side: int) -> Image.Image:
    canvas = Image.new("L", (side * 2, side * 2), 0)
    brush = ImageDraw.Draw(canvas)
    centres = (view.to_pixels(placed.centres) + 0.5) * 2 - 0.5
    radii = placed.radii * view.scale * 2
    for (x, y), radius in zip(centres[::2].tolist(), radii[::2].tolist(), strict=True):
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return canvas


def _as_share(canvas: Image.Image) -> Floats:
    return np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)


@dataclass(frozen=True)
class _Canvas:
    """The picture while it is drawn: where its pixels lie in joint units and the trabecular net over it."""

    view: _View
    side: int
    across: Floats
    along: Floats
    texture: Floats
    patches: Floats
    """Denser and thinner places, much larger than trabeculae."""


_HALF_THICKNESS = np.float32(0.42)


def _chord(depth: Floats) -> Floats:
    """Length of the beam's way through a rounded bone, 0 at its edge to 1 from `_HALF_THICKNESS` inwards."""
    level = np.clip(depth / _HALF_THICKNESS, 0, 1)
    length: Floats = np.sqrt(level * (2 - level))
    return length


def _bell(values: Floats, centre: float, width: float) -> Floats:
    bell: Floats = np.exp(-(((values - np.float32(centre)) / np.float32(width)) ** 2))
    return bell


def _shade(placed: _Placed, canvas: _Canvas, patient: PatientStyle) -> Floats:
    """Opacity of one bone: compact shell, spongy core with its net of trabeculae, subchondral plate, less its bites."""
    view, side = canvas.view, canvas.side
    cover = _as_share(_coverage(view.to_pixels(placed.outline), side))
    opacity = np.zeros((side, side), dtype=np.float32)
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    if not len(rows):
        return opacity
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part, texture = cover[window], canvas.texture[window]
    padded = np.pad(part > 0.5, 1, mode="edge")
    depth = np.asarray(ndimage.distance_transform_edt(padded)[1:-1, 1:-1] / view.scale, dtype=np.float32)
    distance = np.abs(canvas.along[window])

    to_shaft = _ramp(distance, 0.3, 1.5)
    shell_thickness = np.float32(patient.cortex) * (np.float32(0.22) + np.float32(0.78) * to_shaft)
    core = _chord(depth - shell_thickness)
    shell = _chord(depth) - core
    spongy = core * np.float32(patient.density) * (np.float32(0.56) - np.float32(0.27) * to_shaft)
    spongy = spongy * (
        1 + np.float32(0.07) * canvas.patches[window] + np.float32(0.19) * texture * (1 - np.float32(0.45) * to_shaft)
    )
    near_surface = _bell(distance, 0.0, 0.30)
    if placed.is_head:
        plate = np.float32(0.26) * _bell(depth, 0.03, 0.035)
    else:
        # The base is a shallow cup: its front and back rims overlap as a broad band behind the thin plate.
        plate = np.float32(0.42) * _bell(depth, 0.04, 0.04) + np.float32(0.22) * _bell(depth, 0.13, 0.07)
    bone = np.float32(0.88) * (1 + np.float32(0.22) * canvas.patches[window]) * shell + spongy + near_surface * plate

    if len(placed.centres):
        uneven = np.float32(0.35) * texture + canvas.patches[window]
        bitten = _ragged(_as_share(_bites(placed, view, side))[window], uneven, float(placed.radii.max()) * view.scale)
        bone = bone * (1 - np.float32(placed.contrast) * bitten)
        if placed.sclerosis:
            wider = ndimage.gaussian_filter(bitten, 0.04 * view.scale)
            bone = bone + np.float32(placed.sclerosis) * 4 * wider * (1 - bitten)
    opacity[window] = bone * part
    return opacity


def _ragged(bitten: Floats, uneven: Floats, radius: float) -> Floats:
    """The bites with a border as uneven as the spongy bone they eat into; a larger bite has a coarser border."""
    soft: Floats = ndimage.gaussian_filter(bitten, min(max(0.25 * radius, 0.4), 6.0))
    border = 4 * soft * (1 - soft)
    return _ramp(soft + np.float32(0.16) * uneven * border, 0.22, 0.78)


def _net(across: Floats, along: Floats, per_unit: float, rng: np.random.Generator) -> Floats:
    """A random tile of the trabecular net laid over the picture, `per_unit` tile pixels to a joint unit."""
    bank = _texture_bank()
    tile = bank[rng.integers(len(bank))]
    x_start, y_start = rng.integers(0, 256, 2)
    columns = (across * np.float32(per_unit) + np.float32(x_start)).astype(np.int32) & 255
    rows = (along * np.float32(per_unit) + np.float32(y_start)).astype(np.int32) & 255
    net: Floats = tile[rows, columns]
    return net


def _finger(across: Floats, half_width: Floats | np.float32) -> Floats:
    thickness: Floats = np.sqrt(np.clip(1 - (across / half_width) ** 2, 0, 1))
    return thickness


def _soft_tissue(look: JointLook, canvas: _Canvas, patient: PatientStyle, pitch: float) -> Floats:
    """Thickness of soft tissue, about 1 in the middle of a finger."""
    across, along = canvas.across, canvas.along
    flesh = np.float32(patient.flesh * (1.08 if look.digit == 1 else 1.0))
    swell = 1 + np.float32(0.10) * _bell(along, 0.0, 0.7) - np.float32(0.05) * _ramp(along, 0.4, 2.0)
    if look.kind in {"PIP", "IP1"}:
        return _finger(across, flesh * swell)
    web = 1 - _ramp(along, -0.6, 1.15)
    open_left, open_right = look.digit == 5, look.digit in {1, 2}
    side_width = flesh * (1 + np.float32(0.25) * web)
    palm_width = side_width + np.float32(6.0) * web**4
    left, right = (side_width if is_open else palm_width for is_open in (open_left, open_right))
    palm = _finger(across, np.where(across < 0, left, right)) * (1 + np.float32(0.35) * web)
    for sign, is_open in ((-1, open_left), (1, open_right)):
        if not is_open and look.digit != 1:
            palm = np.maximum(palm, _finger(across - np.float32(sign * pitch), flesh))
    return palm


@dataclass(frozen=True)
class _Stance:
    """How the bone ends of a joint stand to each other on one film."""

    space: float
    lateral: float
    turn_head: float
    turn_base: float
    pitch: float
    """Distance to the neighbouring metacarpal."""


def _stance(
    erosion_percent: float, patient: PatientStyle, film: FilmStyle, deviation: float, rng: np.random.Generator
) -> _Stance:
    """Damaged joints lose their space and, when severe, slip and deviate to one side."""
    severe = max(0.0, erosion_percent - 40) / 60
    return _Stance(
        space=patient.joint_space * (1 - 0.55 * min(1.0, erosion_percent / 70))
        - 0.34 * severe**2
        + rng.normal(0, 0.008),
        lateral=0.16 * severe * deviation + rng.normal(0, 0.012),
        turn_head=rng.normal(0, 0.035),
        turn_base=rng.normal(0, 0.025) + 0.12 * severe * deviation,
        pitch=1.30 + 0.18 * film.spread + rng.normal(0, 0.05),
    )


def _place_joint(
    look: JointLook,
    bones: tuple[Bone, Bone],
    defects: tuple[Defect, Defect],
    stance: _Stance,
    lesion: np.random.Generator,
) -> list[_Placed]:
    contrast = float(np.clip(lesion.normal(0.95, 0.04), 0.84, 1.0))
    sclerosis = float(lesion.uniform(0.05, 0.14)) if lesion.random() < 0.3 else 0.0
    lift = stance.space / 2
    head_shift, base_shift = (-stance.lateral / 2, -lift - 0.01), (stance.lateral / 2, lift - _CLOSING[look.kind])
    placed = []
    for bone, defect in zip(bones, defects, strict=True):
        shift, turn, pivot = (
            (head_shift, stance.turn_head, -0.2) if bone.is_head else (base_shift, stance.turn_base, 0.0)
        )
        outline, centres = (_place(points, shift, turn, pivot) for points in (bone.outline, defect.centres))
        placed.append(_Placed(outline, centres, defect.radii, bone.is_head, contrast, sclerosis))
    return placed


def _place_neighbours(
    look: JointLook, bones: tuple[Bone, Bone], stance: _Stance, rng: np.random.Generator
) -> list[_Placed]:
    """The joints of the neighbouring fingers, which reach into the picture of an MCP joint."""
    placed = []
    for side in _NEIGHBOURS.get((look.kind, look.digit), ()):
        drop = _MCP_HEIGHT[look.digit + (1 if side < 0 else -1)] - _MCP_HEIGHT[look.digit]
        for bone in bones:
            lift = -0.01 if bone.is_head else stance.space - _CLOSING[look.kind]
            mirrored = bone.outline * np.array([-1.0, 1.0])
            outline = _place(mirrored, (side * stance.pitch, drop + lift), rng.normal(-0.06 * side, 0.04), 0.0)
            placed.append(_Placed(outline, np.zeros((0, 2)), np.zeros(0), bone.is_head, 0.0, 0.0))
    return placed


def _sesamoid(across: Floats, along: Floats, place: tuple[float, float], size: float) -> Floats:
    radius: Floats = np.hypot((across - place[0]) / 0.8, along - place[1]) / np.float32(size)
    return np.float32(0.26) * (1 - _ramp(radius, 0.7, 1.15)) + np.float32(0.07) * _bell(radius, 0.85, 0.15)


def draw_joint(
    joint: str,
    erosion_percent: float,
    patient: PatientStyle,
    film: FilmStyle,
    rng: np.random.Generator,
) -> Grey:
    """Draw the radiograph of one joint.

    Args:
        joint: Registry column of the joint, `hand_left_1` to `hand_left_10`.
        erosion_percent: Share of the articular outline that is eroded away, 0 to 100.
        patient: Constant looks of the patient's hand.
        film: What all joints of the film share.
        rng: Generator of this joint on this film: small pose differences and quantum noise.

    Returns:
        Grey values, uint8, (side, side) of the film.

    Raises:
        InvalidRequest: The phantom has no drawing of this joint, or the percentage is outside 0-100.
    """
    if not 0 <= erosion_percent <= 100:
        raise InvalidRequest(f"erosion_percent is {erosion_percent}; it must lie in 0-100.")
    look = _look(joint)
    factor = 2 if film.side < 110 else 1
    side = film.side * factor
    view = _View(
        scale=look.zoom * film.zoom * side * float(np.clip(rng.normal(1, 0.04), 0.88, 1.12)),
        angle=np.deg2rad(look.tilt * film.spread + film.rotation + rng.normal(0, 3)),
        centre=(side * (0.5 + rng.normal(0, 0.025)), side * (0.5 + rng.normal(0, 0.025))),
    )
    across, along = view.grid(side)
    # Trabeculae have a size of their own, whatever the size of the crop.
    texture = _net(across, along, 120.0 / patient.trabecula, rng)
    canvas = _Canvas(view, side, across, along, texture, _net(across, along, 16.0, rng))

    bones = bone_pair(joint, patient)
    lesion = stream(patient.seed, "lesions", patient.patient_id, joint)
    defects = erode(bones, erosion_percent, lesion)
    stance = _stance(erosion_percent, patient, film, float(lesion.normal()), rng)
    in_view = _place_joint(look, bones, defects, stance, lesion) + _place_neighbours(look, bones, stance, rng)
    opacity = np.zeros((side, side), dtype=np.float32)
    for placed in in_view:
        opacity += _shade(placed, canvas, patient)
    if look.kind == "MCP1":
        place = (-0.58 + float(rng.normal(0, 0.07)), -0.22 + float(rng.normal(0, 0.09)))
        opacity += _sesamoid(across, along, place, size=0.17)
    soft = _soft_tissue(look, canvas, patient, stance.pitch)
    return _expose(soft, opacity, film, factor, rng)


def _expose(soft: Floats, opacity: Floats, film: FilmStyle, factor: int, rng: np.random.Generator) -> Grey:
    """From thickness to grey values: exposure, blur, collimator, quantum noise."""
    light = np.float32(film.soft) * soft + np.float32(film.bone) * opacity
    if factor == 2:
        light = light.reshape(film.side, 2, film.side, 2).mean(axis=(1, 3))
    light = ndimage.gaussian_filter(light, film.blur)
    top = np.float32(film.soft + film.bone)
    light = top * (np.maximum(light, 0) / top) ** np.float32(film.gamma) + np.float32(film.background)
    if film.collimated and rng.random() < 0.4:
        edge = rng.uniform(0.15, 0.45) * film.side
        slope = rng.normal(0, 0.03)
        position = np.arange(film.side, dtype=np.float32)
        light *= np.where(position[:, None] + np.float32(slope) * position[None, :] < edge, np.float32(0.72), 1)
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    light = light + np.float32(film.noise) * grain * np.sqrt((light + 12) / 90)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def joint_image(seed: int, patient_id: str, sop_iuid: str, joint: str, erosion_percent: float) -> Grey:
    """Draw one joint of one film, all looks derived from the seed and the ids.

    Args:
        seed: Seed of the phantom.
        patient_id: Patient on the film.
        sop_iuid: The film.
        joint: Registry column of the joint.
        erosion_percent: True erosion, 0 to 100.

    Returns:
        Grey values, uint8, (side, side).
    """
    return draw_joint(
        joint,
        erosion_percent,
        patient_style(seed, patient_id),
        film_style(seed, sop_iuid),
        stream(seed, "joint-on-film", sop_iuid, joint),
    )


def joint_jpeg(seed: int, patient_id: str, sop_iuid: str, joint: str, erosion_percent: float) -> bytes:
    """The same as `joint_image`, as the grey JPEG file an extractor would write, at the film's quality."""
    import simplejpeg

    grey = joint_image(seed, patient_id, sop_iuid, joint, erosion_percent)
    encoded: bytes = simplejpeg.encode_jpeg(
        grey[:, :, None], quality=film_style(seed, sop_iuid).quality, colorspace="GRAY"
    )
    return encoded
