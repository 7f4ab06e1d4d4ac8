"""Erosions of a joint: the part of the articular outline that is removed, and the bites that remove it.

An erosion of p percent removes p percent of the length of the articular outline of the bones, because the Ratingen
score grades the destroyed share of the joint surface (Rau and Wassenberg, "Scoring methods"). Erosions start at the
margins (the bare areas, where cartilage ends) and spread. A larger erosion of the same joint contains the smaller one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scoring.phantom.anatomy import OUTLINE_STEP, Bone, Points
from scoring.phantom.seeds import Rng


@dataclass(frozen=True)
class Defect:
    """The bites of an erosion in one bone: discs in joint units, and the removed points of the bone's outline."""

    centres: Points
    radii: npt.NDArray[np.float64]
    removed: npt.NDArray[np.bool_]


def erode(bones: tuple[Bone, ...], erosion_percent: float, rng: Rng, depth: float = 1.0) -> tuple[Defect, ...]:
    """Draw one defect per bone; together they remove a share of the articular outline, in percent.

    The erosion reaches every point of the outline at a random time: defects start at the margins, later also within the
    surface, and spread along the outline at individual speeds. The earliest points are removed. The bite at a removed
    point is a disc that reaches no kept point, so the removed share is exact up to the step of the outline.

    The same random numbers give nested defects as the percentage grows. `depth` is the relative depth of the bites; the
    removed share does not depend on it.
    """
    reached, ruggedness = [], []
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
    gone = np.zeros(len(times), dtype=bool)
    gone[np.argsort(times, kind="stable")[: round(len(times) * erosion_percent / 100)]] = True

    ends = np.cumsum([len(part) for part in reached])[:-1]
    defects = []
    for bone, part, bumps in zip(bones, np.split(gone, ends), ruggedness, strict=True):
        removed = np.zeros(len(bone.outline), dtype=bool)
        removed[bone.articular] = part
        limit = deepest * (1 + 0.7 * erosion_percent / 100) * np.clip(1 + 0.4 * bumps[part], 0.3, 1.8)
        defects.append(Defect(bone.outline[removed], np.minimum(limit, _distance_to_kept(bone, removed)), removed))
    return tuple(defects)


def _distance_to_kept(bone: Bone, removed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    if not removed.any():
        return np.zeros(0)
    # A bite can reach the other side of a bone of the wrist, but not of the broad bones of fingers and toes.
    is_broad = bone.name in {"head", "base"}
    near = ~removed & ndimage.binary_dilation(removed, iterations=80) if is_broad else ~removed
    gaps = bone.outline[removed][:, None, :] - bone.outline[near][None, :, :]
    nearest: npt.NDArray[np.float64] = np.sqrt((gaps * gaps).sum(axis=2).min(axis=1))
    if is_broad:
        return nearest * 0.98
    # Leaves a visible thickness of bone where the bone is thin.
    return np.minimum(nearest * 0.98, np.maximum(nearest - 2 * OUTLINE_STEP, 0.05))
