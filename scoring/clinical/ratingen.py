"""The Ratingen grade: how much of a joint's surface is eroded, in six steps.

Rau, Wassenberg, Herborn, Stucki, Gebler, J Rheumatol 1998;25:2094-107. The book leaves the borders open ("less than
20 %", then "21 to 40 %"); as in the code of the thesis this project follows, a border belongs to the lower grade.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from scoring.clinical.ranges import within

N_GRADES = 6
MAX_GRADE = 5
UPPER_BORDERS = (0.0, 20.0, 40.0, 60.0, 80.0)
"""The largest erosion, in percent, that still has grade 0, 1, 2, 3 and 4."""


@overload
def grade(erosion_percent: float) -> float: ...
@overload
def grade(erosion_percent: npt.NDArray[Any] | Sequence[float]) -> npt.NDArray[np.float64]: ...
def grade(erosion_percent: float | npt.NDArray[Any] | Sequence[float]) -> float | npt.NDArray[np.float64]:
    """Ratingen grade of an erosion: 0 -> 0; (0, 20] -> 1; (20, 40] -> 2; (40, 60] -> 3; (60, 80] -> 4; above 80 -> 5.

    Args:
        erosion_percent: Share of the joint's surface that is eroded, 0-100; NaN where the joint was not read.

    Returns:
        For a scalar an int, or NaN for NaN. For an array always a float64 array of its shape, whether or not it holds
        NaN, so that the type does not depend on the values.

    Raises:
        ValueError: A value is outside 0 to 100; the message has the index of the first one.
    """
    percent = within("erosion_percent", erosion_percent, 0, 100)
    grades = np.where(np.isnan(percent), np.nan, np.searchsorted(UPPER_BORDERS, percent, side="left"))
    if percent.ndim:
        return grades
    return float(grades) if np.isnan(grades) else int(grades)
