"""Facts about rows that no single cell shows: duplicates, dates against each other, what the warehouse already knows.

Each function takes a staged frame and returns a copy with more columns; it judges nothing. A fact that does not apply
to a row (there is no date to compare) is null, which no rule judges. Every frame also gets `record_id`, the name under
which a data steward would look the row up.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.clinical import das28, ratingen
from scoring.clinical.rau import RATINGEN_TOTAL
from scoring.networks.readout import USUAL_RULE, ReadOutRule

LANDING_ORDER = ["batch_date", "source_file", "row_number"]
ROW = ["source_file", "row_number"]

DAS28_TOLERANCE = 0.1
"""DAS28 is reported with one or two decimals; recomputing from rounded components moves it by less than this."""

RAU_TOLERANCE = 0.5
"""Registries round the score to a whole number."""

PROBABILITY_TOLERANCE = 1e-3
MEAN_TOLERANCE = 1e-3
"""The stored mean is a float32 near a grade's border."""

MEDIAN_TOLERANCE = 1e-5
"""The stored probabilities are float32 near a half."""

N_CDF_POINTS = 101


def consultation_facts(
    consultations: pd.DataFrame, readings: pd.DataFrame, known_radiographs: pd.DataFrame
) -> pd.DataFrame:
    """Consultations with facts about their dates, their duplicates, their radiograph and their Rau score.

    Two rows of one folder with the same `id_x` are copies if all their values are equal, the joints' included. The same
    `id_x` in two folders is no duplicate but a newer version of the consultation.

    Args:
        consultations: Staged consultations.
        readings: Staged readings of the same run.
        known_radiographs: `sop_iuid`, `patient_id` of the warehouse's radiographs.

    Returns:
        The consultations with `date_x`, `date_y` as timestamps and `date_x_readable`, `date_y_readable`,
        `rau_score_readable`, `date_y_before_date_x`, `id_x_variants` (rows of different contents with this id in this
        folder), `exact_copy` (of an earlier row), `radiograph_patients` (patients of the radiograph, tonight and in the
        warehouse), `radiograph_dates` (dates of the radiograph in this folder) and `rau_possible`.
    """
    facts = consultations.copy()
    facts["record_id"] = facts["id_x"]
    for column in ("date_x", "date_y"):
        facts[column] = _timestamps(facts[column])
        facts[f"{column}_readable"] = _readable(facts, f"{column}_text", column)
    facts["rau_score_readable"] = _readable(facts, "rau_score_text", "rau_score")
    facts["date_y_before_date_x"] = _judged(
        facts["date_y"] < facts["date_x"], facts["date_x"].notna() & facts["date_y"].notna()
    )
    contents = _contents(facts, {"date_x_text": "date_x", "date_y_text": "date_y", "rau_score_text": "rau_score"})
    contents = contents.assign(
        patient_id=facts["patient_id"],
        sop_iuid=facts["sop_iuid"],
        body_part=facts["body_part"],
        joints=_joints_of_rows(facts, readings),
    )
    facts["id_x_variants"], facts["exact_copy"] = _repeats(facts, ["id_x"], contents)
    facts["radiograph_patients"] = _radiograph_patients(facts, known_radiographs)
    facts["radiograph_dates"] = (
        facts.groupby(["batch_date", "sop_iuid"])["date_x"].transform("nunique").astype("float64")
    )
    facts["rau_possible"] = _rau_possible(facts, readings)
    return facts


def reading_facts(readings: pd.DataFrame, accepted_consultations: pd.DataFrame) -> pd.DataFrame:
    """Readings with `parent_accepted`, `erosion_readable` and `on_grid` (a multiple of 5 %).

    Args:
        readings: Staged readings.
        accepted_consultations: The consultations of this run that validation accepted.
    """
    facts = readings.copy()
    facts["record_id"] = facts["id_x"].fillna("?") + " " + facts["joint"]
    facts["parent_accepted"] = _rows(facts).isin(_rows(accepted_consultations))
    facts["erosion_readable"] = _readable(facts, "erosion_text", "reading_percent")
    percent = facts["reading_percent"].astype("float64")
    facts["on_grid"] = _judged(percent % 5 == 0, percent.between(0, 100))
    return facts


def disease_activity_facts(activity: pd.DataFrame, measures: tuple[str, ...]) -> pd.DataFrame:
    """Disease activity with facts about duplicates, readable cells, whole counts and recomputed DAS28.

    Args:
        activity: Staged disease activity.
        measures: The measured columns, each with a text column beside it.

    Returns:
        The rows with `date` as timestamp and `date_readable`, `visit_variants`, `exact_copy`, `<measure>_readable`,
        `swollen_28_whole`, `tender_28_whole`, `das28_esr_agrees` and `das28_crp_agrees`.
    """
    facts = activity.copy()
    facts["record_id"] = facts["patient_id"].fillna("?") + " " + facts["date_text"].fillna("?")
    facts["date"] = _timestamps(facts["date"])
    facts["date_readable"] = _readable(facts, "date_text", "date")
    for measure in measures:
        facts[f"{measure}_readable"] = _readable(facts, f"{measure}_text", measure)
    contents = _contents(facts, {f"{measure}_text": measure for measure in measures})
    facts["visit_variants"], facts["exact_copy"] = _repeats(facts, ["patient_id", "date"], contents)
    for count in ("swollen_28", "tender_28"):
        facts[f"{count}_whole"] = _judged(facts[count] % 1 == 0, facts[count].notna())
    facts["das28_esr_agrees"], facts["das28_crp_agrees"] = _das28_agree(facts)
    return facts


def image_facts(images: pd.DataFrame, radiographs: pd.Series, known_images: pd.DataFrame) -> pd.DataFrame:
    """Joint images with facts about their name, their radiograph and other files like them.

    Files that do not decode are nobody's rival: a damaged file must not block the good one that replaces it.

    Args:
        images: Staged images.
        radiographs: `sop_iuid` of the radiographs of accepted consultations, of this run and of the warehouse.
        known_images: `sop_iuid`, `joint`, `image_sha256` of the warehouse's images.

    Returns:
        The images with `name_matches`, `radiograph_known`, `rival_files` (different images of this joint, in this run and in
        the warehouse; 0 for an image that the warehouse already has for this joint), `same_bytes_joints` (joints that
        have this very file, likewise; 1 for an image that the warehouse already has for this joint) and `exact_copy`.
    """
    facts = images.copy()
    named = facts["sop_iuid"].notna() & facts["joint"].notna()
    facts["record_id"] = (facts["sop_iuid"] + "_" + facts["joint"]).where(named, None)
    facts["name_matches"] = named
    facts["radiograph_known"] = _judged(facts["sop_iuid"].isin(radiographs), named)

    good = facts.loc[named & facts["decodes"].astype(bool), [*LANDING_ORDER, "sop_iuid", "joint", "sha256"]]
    good = good.sort_values(LANDING_ORDER, kind="stable")
    joint_of_radiograph = ["sop_iuid", "joint"]
    known = known_images.rename(columns={"image_sha256": "sha256"})[[*joint_of_radiograph, "sha256"]]
    everything = pd.concat([good[[*joint_of_radiograph, "sha256"]], known], ignore_index=True).drop_duplicates()
    files = good.merge(
        everything.groupby(joint_of_radiograph).size().rename("files").reset_index(), "left", joint_of_radiograph
    )
    joints = good.merge(everything.groupby("sha256").size().rename("joints").reset_index(), "left", "sha256")
    is_known = pd.MultiIndex.from_frame(good[[*joint_of_radiograph, "sha256"]]).isin(pd.MultiIndex.from_frame(known))
    facts["rival_files"] = pd.Series(np.where(is_known, 0, files["files"] - 1), good.index, "int64").reindex(
        facts.index, fill_value=0
    )
    facts["same_bytes_joints"] = pd.Series(np.where(is_known, 1, joints["joints"]), good.index, "int64").reindex(
        facts.index, fill_value=1
    )
    facts["exact_copy"] = good.duplicated([*joint_of_radiograph, "sha256"]).reindex(facts.index, fill_value=False)
    return facts


def prediction_facts(predictions: pd.DataFrame, planned: pd.DataFrame, rule: ReadOutRule = USUAL_RULE) -> pd.DataFrame:
    """One row for each image that was planned or predicted, with what can be said of its prediction.

    Args:
        predictions: Predictions in the staged form of the contract (`image_sha256`, `cdf`, `predicted_percent`, ...).
        planned: `image_sha256` of the images that were to be scored.
        rule: How the model's grades are read.

    Returns:
        Predictions and, where there is none, planned images, with `planned`, `predicted`, `once`, `cdf_in_range`,
        `cdf_monotone`, `quantiles_ordered`, `grade_fits_mean`, `probabilities_sum_to_one`. The facts about a
        prediction's numbers are null where there is no prediction.
    """
    facts = predictions.reset_index(drop=True)
    missing = planned.loc[~planned["image_sha256"].isin(facts["image_sha256"]), ["image_sha256"]].drop_duplicates()
    cdf = _vectors(facts["cdf"], N_CDF_POINTS)
    with np.errstate(invalid="ignore"):
        facts["cdf_in_range"] = np.all((cdf >= 0) & (cdf <= 1), axis=1)
        facts["cdf_monotone"] = _judged(
            pd.Series(np.all(np.diff(cdf, axis=1) >= 0, axis=1), facts.index), facts["cdf_in_range"]
        )
    low, middle, high = (facts[f"erosion_{name}"].astype("float64") for name in ("q05", "median", "q95"))
    facts["quantiles_ordered"] = (low >= 0) & (low <= middle) & (middle <= high) & (high <= 100)
    probability = _vectors(facts["grade_probability"], ratingen.N_GRADES)
    sums_to_one = np.abs(probability.sum(axis=1) - 1) <= PROBABILITY_TOLERANCE
    facts["grade_fits_mean"] = _grade_fits(facts["predicted_percent"], probability, facts["predicted_grade"], rule)
    facts["probabilities_sum_to_one"] = sums_to_one & np.all((probability >= 0) & (probability <= 1), axis=1)
    facts["planned"] = facts["image_sha256"].isin(planned["image_sha256"])
    facts["once"] = ~facts["image_sha256"].duplicated(keep=False)
    facts["predicted"] = True
    facts = facts.astype({column: "object" for column in facts.columns if facts[column].dtype == bool})
    return pd.concat([facts, missing.assign(planned=True, predicted=False, once=True, predicted_percent=0.0)])


def training_set_facts(joints: pd.DataFrame) -> pd.DataFrame:
    """Joints of a training set with facts about their reading, their patient and their image.

    Args:
        joints: `pixels_sha256`, `patient_id`, `part` and `reading_percent` of every joint.

    Returns:
        The joints with `row_key` (their place in the set), `on_grid` (a multiple of 5 %), `parts_of_patient` and
        `readings_of_image` (different readings of the same pixels).
    """
    facts = joints.reset_index(drop=True)
    facts["row_key"] = facts.index
    percent = facts["reading_percent"].astype("float64")
    facts["on_grid"] = _judged(percent % 5 == 0, percent.between(0, 100))
    facts["parts_of_patient"] = facts.groupby("patient_id")["part"].transform("nunique")
    facts["readings_of_image"] = facts.groupby("pixels_sha256")["reading_percent"].transform("nunique")
    return facts


def _timestamps(dates: pd.Series) -> pd.Series:
    return pd.to_datetime(dates).astype("datetime64[s]")


def _readable(frame: pd.DataFrame, text: str, value: str) -> pd.Series:
    """Whether a cell that is not empty could be read; null for an empty cell."""
    return _judged(frame[value].notna(), frame[text].notna())


def _judged(fact: pd.Series, applies: pd.Series) -> pd.Series:
    return fact.astype("object").where(applies, None)


def _rows(frame: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[ROW])


def _contents(frame: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """The values of text/value column pairs, and the text where it could not be read: "7,0" and "7" are the same."""
    pairs = {value: frame[value] for value in columns.values()}
    unread = {text: frame[text].where(frame[value].isna(), None) for text, value in columns.items()}
    return pd.DataFrame({**pairs, **unread}, index=frame.index)


def _repeats(frame: pd.DataFrame, key: list[str], contents: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """How many different contents share a row's key in its folder, and whether an earlier row is its exact copy."""
    ordered = frame.sort_values(LANDING_ORDER, kind="stable")
    key_of_folder = ["batch_date", *key]
    keyed = ordered[key].notna().all(axis=1)
    rows = pd.concat([ordered[key_of_folder], contents.drop(columns=key, errors="ignore")], axis=1)[keyed]
    which = rows.groupby(list(rows.columns), dropna=False, sort=False).ngroup()
    variants = which.groupby([rows[column] for column in key_of_folder]).transform("nunique")
    return (
        variants.reindex(frame.index, fill_value=0).astype("int64"),
        which.duplicated().reindex(frame.index, fill_value=False),
    )


def _joints_of_rows(consultations: pd.DataFrame, readings: pd.DataFrame) -> pd.Series:
    """All readings of a row as one text, by which rows can be compared."""
    value = (
        readings["reading_percent"].astype("str").where(readings["reading_percent"].notna(), readings["erosion_text"])
    )
    cells = (readings["joint"] + "=" + value).to_frame("cell").assign(**readings[ROW])
    joined = cells.sort_values("cell").groupby(ROW)["cell"].agg(";".join)
    return _of_rows(consultations, joined, "")


def _of_rows(consultations: pd.DataFrame, by_row: pd.Series, default: Any) -> pd.Series:
    values = by_row.reindex(_rows(consultations)).to_numpy()
    return pd.Series(values, consultations.index).fillna(default)


def _radiograph_patients(consultations: pd.DataFrame, known_radiographs: pd.DataFrame) -> pd.Series:
    columns = ["sop_iuid", "patient_id"]
    patients = (
        pd.concat([consultations[columns], known_radiographs[columns]]).groupby("sop_iuid")["patient_id"].nunique()
    )
    return consultations["sop_iuid"].map(patients).astype("float64")


def _rau_possible(consultations: pd.DataFrame, readings: pd.DataFrame) -> pd.Series:
    """Whether grades 0-5 of the joints that are not in the row could give the reported score.

    With the grades of m joints summing to s, a score `sum * 38 / n` over any n >= m joints that include these lies
    within s and s + 5 * (38 - m), whatever n is: the radiograph's form may have had 10, 32 or 38 joints.
    """
    percent = readings["reading_percent"].astype("float64")
    read = readings[percent.between(0, 100)]
    grades = pd.Series(ratingen.grade(read["reading_percent"].to_numpy("float64")), read.index)
    by_row = grades.groupby([read[column] for column in ROW])
    total, n_read = (_of_rows(consultations, by_row.agg(how), 0) for how in ("sum", "count"))
    reported = consultations["rau_score"].astype("float64")
    highest = total + ratingen.MAX_GRADE * (RATINGEN_TOTAL - n_read)
    possible = reported.between(total - RAU_TOLERANCE, highest + RAU_TOLERANCE)
    return _judged(possible, reported.between(0, RATINGEN_TOTAL * ratingen.MAX_GRADE) & (n_read > 0))


def _das28_agree(facts: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Whether the reported scores are what the row's components give: four variables with ESR, three with CRP.

    Null where a component is missing, for DAS28-ESR also the patient's global assessment.
    """

    def component(column: str, maximum: float) -> npt.NDArray[np.float64]:
        values = facts[column].astype("float64")
        return np.asarray(values.where(values.between(0, maximum)), dtype=np.float64)

    tender, swollen = component("tender_28", das28.N_JOINTS), component("swollen_28", das28.N_JOINTS)
    esr, crp = component("esr", das28.MAX_ESR), component("crp", das28.MAX_CRP)
    patient_global = component("global_patient_estimate_disease_activity", das28.MAX_PATIENT_GLOBAL)

    def agrees(column: str, recomputed: npt.NDArray[np.float64]) -> pd.Series:
        difference = (facts[column].astype("float64") - recomputed).abs()
        return _judged(difference <= DAS28_TOLERANCE, difference.notna())

    return (
        agrees("das28bsr_score", das28.das28_esr(tender, swollen, esr, patient_global)),
        agrees("das283crp_score", das28.das28_crp(tender, swollen, crp)),
    )


def _vectors(column: pd.Series, length: int) -> npt.NDArray[np.float64]:
    """A column of lists as a matrix; a row of NaN for a list of any other length."""
    matrix = np.full((len(column), length), np.nan)
    for row, values in enumerate(column):
        if values is not None and np.size(values) == length:
            matrix[row] = values
    return matrix


def _grade_fits(
    mean: pd.Series, probability: npt.NDArray[np.float64], grade: pd.Series, rule: ReadOutRule
) -> pd.Series:
    value = mean.astype("float64")
    judged = value.between(0, 100)
    at = value.where(judged, 0.0).to_numpy()
    fits = np.zeros(len(at), dtype=bool)
    # Mean and probabilities were rounded to single precision: a grade that hangs on the last digit may go either way.
    for nudge in (-1, 0, 1):
        nudged = probability.copy()
        nudged[:, [0, -1]] += MEDIAN_TOLERANCE * np.array([max(-nudge, 0), max(nudge, 0)])
        called = rule.grade(np.clip(at + nudge * MEAN_TOLERANCE, 0, 100), nudged)
        fits |= called == grade.astype("float64").to_numpy()
    return _judged(pd.Series(fits, mean.index), judged)
