"""DAS28, the disease activity score of 28 joints: its four forms, activity classes and the EULAR response.

Formulas: das-score.nl, "Alternative validated formulae"; four variables with ESR from Prevoo, van 't Hof, Kuper, van
Leeuwen, van de Putte, van Riel, Arthritis Rheum 1995;38:44-8. Classes: Fransen, van Riel, Clin Exp Rheumatol
2005;23(5 Suppl 39):S93-9. Response: van Gestel, Prevoo, van 't Hof, van Rijswijk, van de Putte, van Riel, Arthritis
Rheum 1996;39:34-40, with the thresholds for DAS28 from van Gestel, Haagsma, van Riel, Arthritis Rheum 1998;41:1845-50.

The forms are not interchangeable: at the same visit, DAS28-CRP is usually lower than DAS28-ESR. Do not mix them in one
series. ESR is in mm/h and CRP in mg/L. A CRP in mg/dL is ten times too small, which cannot be detected here.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from scoring.clinical.ranges import check_range

Activity = Literal["remission", "low", "moderate", "high"]
Response = Literal["good", "moderate", "none"]
Array: TypeAlias = npt.NDArray[Any] | Sequence[float]
Values: TypeAlias = float | Array
Floats: TypeAlias = npt.NDArray[np.float64]
Classes: TypeAlias = npt.NDArray[np.object_]

N_JOINTS = 28
MAX_ESR = 300.0
MAX_CRP = 1000.0
MAX_PATIENT_GLOBAL = 100.0
MAX_DAS28 = 10.0
ESR_FLOOR = 1.0
"""Lowest ESR used, in mm/h; a lower value counts as 1. Analysers report whole millimetres, and 0 has no logarithm."""

# Registries report DAS28 with two decimals. Without rounding, 5.0 - 3.8 is greater than 1.2 in binary arithmetic.
_DECIMALS = 6


@overload
def das28_esr(tender: float, swollen: float, esr: float, patient_global: float | None = None) -> float: ...
@overload
def das28_esr(tender: Array, swollen: Array, esr: Array, patient_global: Array | None = None) -> Floats: ...
def das28_esr(tender: Values, swollen: Values, esr: Values, patient_global: Values | None = None) -> float | Floats:
    """Return the DAS28 with the erythrocyte sedimentation rate (DAS28-ESR).

    Four variables: 0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.70 ln(esr) + 0.014 patient_global. Three variables:
    (0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.70 ln(esr)) * 1.08 + 0.16.

    Args:
        tender: Number of tender joints, 0-28.
        swollen: Number of swollen joints, 0-28.
        esr: Sedimentation rate in mm/h, 0-300; values below 1 count as 1.
        patient_global: The patient's global assessment, 0-100 mm. None selects the three-variable form. NaN is a
            missing assessment and gives NaN, so that a series never contains both forms.

    Returns:
        The score: a float for scalars, an array of the arguments' common shape otherwise. NaN where an argument is NaN.

    Raises:
        ValueError: A value is outside its range.
    """
    rate = np.maximum(check_range("esr", esr, 0, MAX_ESR), ESR_FLOOR)
    core = _joint_counts(tender, swollen) + 0.70 * np.log(rate)
    if patient_global is None:
        return _float_if_scalar(core * 1.08 + 0.16)
    return _float_if_scalar(core + 0.014 * check_range("patient_global", patient_global, 0, MAX_PATIENT_GLOBAL))


@overload
def das28_crp(tender: float, swollen: float, crp: float, patient_global: float | None = None) -> float: ...
@overload
def das28_crp(tender: Array, swollen: Array, crp: Array, patient_global: Array | None = None) -> Floats: ...
def das28_crp(tender: Values, swollen: Values, crp: Values, patient_global: Values | None = None) -> float | Floats:
    """Return the DAS28 with the C-reactive protein (DAS28-CRP), 0-1000 mg/L.

    Four variables: 0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.36 ln(crp + 1) + 0.014 patient_global + 0.96. Three
    variables: (0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.36 ln(crp + 1)) * 1.10 + 1.15. For the other arguments, the
    result and errors, see `das28_esr`.
    """
    core = _joint_counts(tender, swollen) + 0.36 * np.log1p(check_range("crp", crp, 0, MAX_CRP))
    if patient_global is None:
        return _float_if_scalar(core * 1.10 + 1.15)
    return _float_if_scalar(core + 0.014 * check_range("patient_global", patient_global, 0, MAX_PATIENT_GLOBAL) + 0.96)


@overload
def activity(value: float) -> Activity | None: ...
@overload
def activity(value: Array) -> Classes: ...
def activity(value: Values) -> Activity | Classes | None:
    """Return the activity class of a DAS28: remission < 2.6 <= low <= 3.2 < moderate <= 5.1 < high.

    As in registries, the thresholds are the same for all four forms, although they were defined for DAS28-ESR. With
    DAS28-CRP they classify too many visits as remission.

    Returns:
        The class, or None for NaN; an object array of these for an array.

    Raises:
        ValueError: A value is outside 0 to 10.
    """
    das28 = _das28("DAS28", value)
    limits = [np.isnan(das28), das28 < 2.6, das28 <= 3.2, das28 <= 5.1]
    names: list[Any] = [None, "remission", "low", "moderate"]
    classes: Classes = np.select(limits, names, "high")
    return classes if das28.ndim else classes.item()


@overload
def eular_response(baseline: float, follow_up: float) -> Response | None: ...
@overload
def eular_response(baseline: Array, follow_up: Array) -> Classes: ...
def eular_response(baseline: Values, follow_up: Values) -> Response | Classes | None:
    """Return the EULAR response between two visits, from the decrease of DAS28 and its value at follow-up.

    A decrease of more than 1.2 is a good response if DAS28 reaches 3.2 or less, and a moderate response otherwise. A
    decrease of more than 0.6 is a moderate response if DAS28 reaches 5.1 or less. Any other change is no response.
    Both values must be of the same form.

    Returns:
        The response, or None where a value is NaN; an object array of these for arrays.

    Raises:
        ValueError: A value is outside 0 to 10.
    """
    before, after = _das28("baseline", baseline), _das28("follow_up", follow_up)
    decrease = np.round(before - after, _DECIMALS)
    good = (decrease > 1.2) & (after <= 3.2)
    moderate = (decrease > 1.2) | ((decrease > 0.6) & (after <= 5.1))
    names: list[Any] = [None, "good", "moderate"]
    responses: Classes = np.select([np.isnan(decrease), good, moderate], names, "none")
    return responses if decrease.ndim else responses.item()


def _joint_counts(tender: Values, swollen: Values) -> Floats:
    tender_root = np.sqrt(check_range("tender", tender, 0, N_JOINTS))
    swollen_root = np.sqrt(check_range("swollen", swollen, 0, N_JOINTS))
    return np.asarray(0.56 * tender_root + 0.28 * swollen_root, dtype=np.float64)


def _das28(name: str, value: Values) -> Floats:
    return np.round(check_range(name, value, 0, MAX_DAS28), _DECIMALS)


def _float_if_scalar(score: Floats) -> float | Floats:
    return score if np.ndim(score) else float(score)
