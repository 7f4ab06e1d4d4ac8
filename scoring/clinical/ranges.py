"""The one check of all definitions: a value outside its range has no meaning and is refused, a missing one passes."""

import numpy as np
import numpy.typing as npt


def within(name: str, values: npt.ArrayLike | None, low: float, high: float) -> npt.NDArray[np.float64]:
    """Read values as floats that are each missing (NaN) or within a range.

    Args:
        name: What the values are, for the error.
        values: Scalar or array; None counts as NaN.
        low: Smallest value allowed.
        high: Largest value allowed.

    Returns:
        The values as float64, in the shape they came in.

    Raises:
        ValueError: A value is outside the range. The message has the range and the index of the first such value, but
            not the value itself: messages end up in logs, and logs hold no values of patients.
    """
    checked = np.asarray(values, dtype=np.float64)
    refuse_where(name, ~np.isnan(checked) & ~((checked >= low) & (checked <= high)), f"within {low:g} to {high:g}")
    return checked


def refuse_where(name: str, bad: npt.NDArray[np.bool_], rule: str) -> None:
    """Raise a ValueError that states the rule and where it is first broken, if it is broken anywhere."""
    if not bad.any():
        return
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    if len(index) == 0:
        where = "the value given"
    elif len(index) == 1:
        where = f"the value at index {index[0]}"
    else:
        where = f"the value at index {index}"
    raise ValueError(f"{name} must be {rule}: {where} is not")
