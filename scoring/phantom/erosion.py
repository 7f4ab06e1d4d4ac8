"""Erosions: which part of a joint's articular outline is gone, and the bites that took it.

An erosion of p percent removes p percent of the articular outline of its bones, measured along the outline. Defects
begin at the margins (the bare areas, where cartilage ends) and grow: a larger erosion of the same joint contains the
smaller one. Sites and looks after Rau and Wassenberg, "Scoring methods" (Ratingen score: share of the joint surface
that is destroyed).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scoring.phantom.anatomy import OUTLINE_STEP, Bone, Points


@dataclass(frozen=True)
class Defect:
    """The bites an erosion takes out of one bone: discs in joint units."""

    centres: Points
    radii: npt.NDArray[np.float64]
    removed: npt.NDArray[np.bool_]
    """For each point of the bone's outline: eroded away."""


def erode(
    bones: tuple[Bone, ...], erosion_percent: float, rng: np.random.Generator, depth: float = 1.0
) -> tuple[Defect, ...]:
    """Lay out the defects that remove `erosion_percent` of the articular outline.

    Every point of the articular outline gets a time at which the erosion reaches it: defects start at the margins
    (later also inside the surface) and spread along the outline, each at its own speed. The points reached first are
    removed until their length is the asked share. The bite at a removed point is a disc that does not reach any kept
    point of the outline, so the removed share is exact up to the outline's step.

    Args:
        bones: The bones of the joint.
        erosion_percent: 0 to 100.
        rng: Generator of this patient's joint; the same one gives nested defects as the percentage grows.
        depth: How deep the bites are, relative; the removed share does not depend on it.

    Returns:
        The defects of each bone.
    """
    reached: list[npt.NDArray[np.float64]] = []
    ruggedness: list[npt.NDArray[np.float64]] = []
    for bone in bones:
        n_points = int(bone.articular.sum())
        place = (np.arange(n_points) - (n_points - 1) / 2) * OUTLINE_STEP
        reach = place[-1]
        sites = np.array([rng.uniform(-0.92, -0.6), rng.uniform(0.6, 0.92), rng.uniform(-0.5, 0.5)]) * reach
        onset = np.array([rng.exponential(0.3), rng.exponential(0.3), 0.5 + rng.exponential(0.5)])
        speed = rng.lognormal(0.0, 0.45, 3)
        reached.append((onset + np.abs(place[:, None] - sites) / speed).min(axis=1))
        bumps = ndimage.gaussian_filter1d(rng.standard_normal(n_points), 0.05 / OUTLINE_STEP, mode="nearest")
        ruggedness.append(bumps / max(float(bumps.std()), 1e-9))
    deepest = depth * rng.uniform(0.11, 0.22)

    times = np.concatenate(reached)
    n_removed = round(len(times) * erosion_percent / 100)
    order = np.argsort(times, kind="stable")
    gone = np.zeros(len(times), dtype=bool)
    gone[order[:n_removed]] = True

    ends = np.cumsum([len(part) for part in reached])[:-1]
    defects = []
    for bone, part, bumps in zip(bones, np.split(gone, ends), ruggedness, strict=True):
        removed = np.zeros(len(bone.outline), dtype=bool)
        removed[np.flatnonzero(bone.articular)] = part
        centres = bone.outline[removed]
        limit = deepest * (1 + 0.7 * erosion_percent / 100) * np.clip(1 + 0.4 * bumps[part], 0.3, 1.8)
        defects.append(Defect(centres, np.minimum(limit, _distance_to_kept(bone, removed)), removed))
    return tuple(defects)


def _distance_to_kept(bone: Bone, removed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    centres = bone.outline[removed]
    if not len(centres):
        return np.zeros(0)
    # The ends of fingers and toes are too broad for a bite to reach the other side; a bone of the wrist is not.
    is_broad = bone.name in {"head", "base"}
    near = ~removed & ndimage.binary_dilation(removed, iterations=80) if is_broad else ~removed
    kept = bone.outline[near]
    gaps = centres[:, None, :] - kept[None, :, :]
    nearest: npt.NDArray[np.float64] = np.sqrt((gaps * gaps).sum(axis=2).min(axis=1))
    if is_broad:
        return nearest * 0.98
    # What stays on the other side of a thin place must not be left as thin as paper.
    return np.minimum(nearest * 0.98, np.maximum(nearest - 2 * OUTLINE_STEP, 0.05))
