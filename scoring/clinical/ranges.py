"""Range checks shared by all definitions: a value outside its range raises an error, a missing value passes."""

import numpy as np
import numpy.typing as npt


def check_range(name: str, values: npt.ArrayLike | None, low: float, high: float) -> npt.NDArray[np.float64]:
    """Return values as floats after checking that each is missing (NaN) or within a range.

    Args:
        name: Name of the values in the error message.
        values: Scalar or array; None counts as NaN.
        low: Smallest valid value.
        high: Largest valid value.

    Returns:
        The values as float64, with their shape unchanged.

    Raises:
        ValueError: A value is outside the range. The message gives the range and the index of the first such value, but
            not the value: messages end up in logs, and logs must not contain patient data.
    """
    checked = np.asarray(values, dtype=np.float64)
    raise_where(name, ~np.isnan(checked) & ~((checked >= low) & (checked <= high)), f"between {low:g} and {high:g}")
    return checked


def raise_where(name: str, invalid: npt.NDArray[np.bool_], rule: str) -> None:
    """Raise a ValueError with the rule and the first index at which it is broken, if any value is invalid."""
    if not invalid.any():
        return
    index = tuple(int(i) for i in np.argwhere(invalid)[0])
    at = f" at index {index[0] if len(index) == 1 else index}" if index else ""
    raise ValueError(f"{name} must be {rule}: the value{at} is not.")
