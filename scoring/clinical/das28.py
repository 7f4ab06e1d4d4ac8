"""DAS28, the disease activity score over 28 joints: its four forms, its activity classes and the EULAR response.

Formulas: das-score.nl, "Alternative validated formulae"; four variables with ESR from Prevoo, van 't Hof, Kuper, van
Leeuwen, van de Putte, van Riel, Arthritis Rheum 1995;38:44-8. Classes: Fransen, van Riel, Clin Exp Rheumatol
2005;23(5 Suppl 39):S93-9. Response: van Gestel, Prevoo, van 't Hof, van Rijswijk, van de Putte, van Riel, Arthritis
Rheum 1996;39:34-40, with the borders of DAS28 from van Gestel, Haagsma, van Riel, Arthritis Rheum 1998;41:1845-50.

The forms are not exchangeable: on the same visit DAS28-CRP is usually lower than DAS28-ESR. Do not mix them in one
series. ESR is in mm/h and CRP in mg/L; a CRP in mg/dL is ten times too small and cannot be told from a good one here.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from scoring.clinical.ranges import within

Activity = Literal["remission", "low", "moderate", "high"]
Response = Literal["good", "moderate", "none"]
Array: TypeAlias = npt.NDArray[Any] | Sequence[float]

N_JOINTS = 28
MAX_ESR = 300.0
MAX_CRP = 1000.0
MAX_PATIENT_GLOBAL = 100.0
MAX_DAS28 = 10.0
ESR_FLOOR = 1.0
"""An ESR below this counts as this, in mm/h: analysers report whole millimetres, and 0 has no logarithm."""

# Registries report DAS28 to two decimals. Without rounding, a fall from 5.0 to 3.8 is more than 1.2 in binary.
_DECIMALS = 6


@overload
def das28_esr(tender: float, swollen: float, esr: float, patient_global: float | None = None) -> float: ...
@overload
def das28_esr(
    tender: Array, swollen: Array, esr: Array, patient_global: Array | None = None
) -> npt.NDArray[np.float64]: ...
def das28_esr(
    tender: float | Array, swollen: float | Array, esr: float | Array, patient_global: float | Array | None = None
) -> float | npt.NDArray[np.float64]:
    """DAS28 with the erythrocyte sedimentation rate.

    Four variables: 0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.70 ln(esr) + 0.014 patient_global. Three variables:
    (0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.70 ln(esr)) * 1.08 + 0.16.

    Args:
        tender: Tender joints, 0-28.
        swollen: Swollen joints, 0-28.
        esr: Sedimentation rate in mm/h, 0-300; below 1 it counts as 1.
        patient_global: The patient's global assessment, 0-100 mm. None takes the three-variable form; NaN is a missing
            assessment and gives NaN, so that one series never holds both forms.

    Returns:
        The score, a float for scalars, else an array of the arguments' common shape. NaN where an argument is NaN.

    Raises:
        ValueError: A value is outside its range; the message has the range and the index of the first one.
    """
    rate = np.maximum(within("esr", esr, 0, MAX_ESR), ESR_FLOOR)
    core = _joint_counts(tender, swollen) + 0.70 * np.log(rate)
    if patient_global is None:
        return _as_given(core * 1.08 + 0.16)
    return _as_given(core + 0.014 * within("patient_global", patient_global, 0, MAX_PATIENT_GLOBAL))


@overload
def das28_crp(tender: float, swollen: float, crp: float, patient_global: float | None = None) -> float: ...
@overload
def das28_crp(
    tender: Array, swollen: Array, crp: Array, patient_global: Array | None = None
) -> npt.NDArray[np.float64]: ...
def das28_crp(
    tender: float | Array, swollen: float | Array, crp: float | Array, patient_global: float | Array | None = None
) -> float | npt.NDArray[np.float64]:
    """DAS28 with the C-reactive protein.

    Four variables: 0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.36 ln(crp + 1) + 0.014 patient_global + 0.96. Three
    variables: (0.56 sqrt(tender) + 0.28 sqrt(swollen) + 0.36 ln(crp + 1)) * 1.10 + 1.15.

    Args:
        tender: Tender joints, 0-28.
        swollen: Swollen joints, 0-28.
        crp: C-reactive protein in mg/L, 0-1000.
        patient_global: The patient's global assessment, 0-100 mm. None takes the three-variable form; NaN is a missing
            assessment and gives NaN, so that one series never holds both forms.

    Returns:
        The score, a float for scalars, else an array of the arguments' common shape. NaN where an argument is NaN.

    Raises:
        ValueError: A value is outside its range; the message has the range and the index of the first one.
    """
    core = _joint_counts(tender, swollen) + 0.36 * np.log1p(within("crp", crp, 0, MAX_CRP))
    if patient_global is None:
        return _as_given(core * 1.10 + 1.15)
    return _as_given(core + 0.014 * within("patient_global", patient_global, 0, MAX_PATIENT_GLOBAL) + 0.96)


@overload
def activity(value: float) -> Activity | None: ...
@overload
def activity(value: Array) -> npt.NDArray[np.object_]: ...
def activity(value: float | Array) -> Activity | npt.NDArray[np.object_] | None:
    """Activity class of a DAS28: remission < 2.6 <= low <= 3.2 < moderate <= 5.1 < high.

    The same borders are used for all four forms, as registries do, although they were set for DAS28-ESR; for DAS28-CRP
    they call too many visits remission.

    Args:
        value: DAS28, 0-10.

    Returns:
        The class, or None for NaN; for an array an object array of these.

    Raises:
        ValueError: A value is outside 0 to 10; the message has the index of the first one.
    """
    das28 = _das28("DAS28", value)
    classes = np.select(
        [np.isnan(das28), das28 < 2.6, das28 <= 3.2, das28 <= 5.1],
        [np.array(x, dtype=object) for x in (None, "remission", "low", "moderate")],
        np.array("high", dtype=object),
    )
    return classes if das28.ndim else classes.item()


@overload
def eular_response(baseline: float, follow_up: float) -> Response | None: ...
@overload
def eular_response(baseline: Array, follow_up: Array) -> npt.NDArray[np.object_]: ...
def eular_response(baseline: float | Array, follow_up: float | Array) -> Response | npt.NDArray[np.object_] | None:
    """EULAR response between two visits, by the fall of DAS28 and where it ends.

    A fall of more than 1.2 is a good response if it ends at 3.2 or below, else a moderate one. A fall of more than 0.6
    is moderate if it ends at 5.1 or below. Anything else is none.

    Args:
        baseline: DAS28 before, 0-10.
        follow_up: DAS28 after, 0-10, of the same form.

    Returns:
        The response, or None where either is NaN; for arrays an object array of these.

    Raises:
        ValueError: A value is outside 0 to 10; the message has the index of the first one.
    """
    before, after = _das28("baseline", baseline), _das28("follow_up", follow_up)
    fall = np.round(before - after, _DECIMALS)
    responses = np.select(
        [np.isnan(fall), (fall > 1.2) & (after <= 3.2), (fall > 1.2) | ((fall > 0.6) & (after <= 5.1))],
        [np.array(x, dtype=object) for x in (None, "good", "moderate")],
        np.array("none", dtype=object),
    )
    return responses if fall.ndim else responses.item()


def _joint_counts(tender: float | Array, swollen: float | Array) -> npt.NDArray[np.float64]:
    tender_root = np.sqrt(within("tender", tender, 0, N_JOINTS))
    swollen_root = np.sqrt(within("swollen", swollen, 0, N_JOINTS))
    return np.asarray(0.56 * tender_root + 0.28 * swollen_root, dtype=np.float64)


def _das28(name: str, value: float | Array) -> npt.NDArray[np.float64]:
    return np.round(within(name, value, 0, MAX_DAS28), _DECIMALS)


def _as_given(score: npt.NDArray[np.float64]) -> float | npt.NDArray[np.float64]:
    return score if np.ndim(score) else float(score)
