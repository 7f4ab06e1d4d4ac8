"""The Ratingen grade: the share of a joint's surface that is eroded, in six steps.

Source: Rau, Wassenberg, Herborn, Stucki, Gebler, J Rheumatol 1998;25:2094-107. The publication does not define the
borders ("less than 20 %", then "21 to 40 %"). As in the code of the thesis, a border belongs to the lower grade.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from scoring.clinical.ranges import check_range

N_GRADES = 6
MAX_GRADE = 5
UPPER_BORDERS = (0.0, 20.0, 40.0, 60.0, 80.0)
"""Largest erosion, in percent, of the grades 0, 1, 2, 3 and 4."""


@overload
def grade(erosion_percent: float) -> float: ...
@overload
def grade(erosion_percent: npt.NDArray[Any] | Sequence[float]) -> npt.NDArray[np.float64]: ...
def grade(erosion_percent: float | npt.NDArray[Any] | Sequence[float]) -> float | npt.NDArray[np.float64]:
    """Return the Ratingen grade: 0 -> 0; (0, 20] -> 1; (20, 40] -> 2; (40, 60] -> 3; (60, 80] -> 4; above 80 -> 5.

    Args:
        erosion_percent: Eroded share of the joint's surface in percent, 0-100; NaN if the joint was not read.

    Returns:
        An int for a scalar, or NaN for NaN. A float64 array of the same shape for an array, with or without NaN, so
        that the type does not depend on the values.

    Raises:
        ValueError: A value is outside 0 to 100.
    """
    percent = check_range("erosion_percent", erosion_percent, 0, 100)
    grades = np.where(np.isnan(percent), np.nan, np.searchsorted(UPPER_BORDERS, percent, side="left"))
    if percent.ndim:
        return grades
    return float(grades) if np.isnan(grades) else int(grades)
