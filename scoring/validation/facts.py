"""Facts about rows that no single cell shows: duplicates, comparisons of dates, rows of the warehouse.

Each function takes a staged table and returns a copy with more columns; it rejects nothing. A fact that does not apply
to a row, such as a comparison with a missing date, is null and breaks no rule. Staged rows also get `record_id`, the
name by which a data steward can find the row.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.clinical import das28, ratingen
from scoring.clinical.rau import MAX_SCORE, RATINGEN_TOTAL
from scoring.contract import ACTIVITY_COLUMNS, MEASURES
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule

LANDING_ORDER = ["batch_date", "source_file", "row_number"]
ROW = ["source_file", "row_number"]
JOINT = ["sop_iuid", "joint"]

_MAXIMUM = {column.name: column.maximum for column in ACTIVITY_COLUMNS if column.maximum is not None}

DAS28_TOLERANCE = 0.1
"""DAS28 is reported with one or two decimals; rounded components change it by less than this."""

RAU_TOLERANCE = 0.5
"""Registries round the score to a whole number."""

PROBABILITY_TOLERANCE = 1e-3
MEAN_TOLERANCE = 1e-3
"""Rounding of the stored mean (float32) near the border of a grade."""

MEDIAN_TOLERANCE = 1e-5
"""Rounding of the stored probabilities (float32) near a half."""


def consultation_facts(
    consultations: pd.DataFrame, readings: pd.DataFrame, known_radiographs: pd.DataFrame
) -> pd.DataFrame:
    """Add facts about dates, duplicates, the radiograph and the Rau score.

    Rows of one folder with the same `id_x` are copies if all their values are equal, including the joints. The same
    `id_x` in two folders is not a duplicate but a newer version of the consultation. `known_radiographs` has `sop_iuid`
    and `patient_id` of the radiographs in the warehouse.

    Returns:
        The consultations with `date_x`, `date_y` as timestamps and `date_x_readable`, `date_y_readable`,
        `rau_score_readable`, `date_y_before_date_x`, `id_x_variants` (number of different rows with this id in this
        folder), `exact_copy` (of an earlier row), `radiograph_patients` (number of patients with this radiograph, in
        this run and the warehouse), `radiograph_dates` (number of its dates in this folder) and `rau_possible`.
    """
    facts = consultations.copy()
    facts["record_id"] = facts["id_x"]
    for column in ("date_x", "date_y"):
        facts[column] = _timestamps(facts[column])
    for column in ("date_x", "date_y", "rau_score"):
        facts[f"{column}_readable"] = _readable(facts, column)
    both_dates = facts["date_x"].notna() & facts["date_y"].notna()
    facts["date_y_before_date_x"] = _if(both_dates, facts["date_y"] < facts["date_x"])
    contents = _contents(facts, ["date_x", "date_y", "rau_score"]).assign(
        **facts[["patient_id", "sop_iuid", "body_part"]], joints=_joints_of_rows(facts, readings)
    )
    facts["id_x_variants"], facts["exact_copy"] = _repeats(facts, ["id_x"], contents)
    owners = pd.concat([each[["sop_iuid", "patient_id"]] for each in (facts, known_radiographs)])
    n_patients = owners.groupby("sop_iuid")["patient_id"].nunique()
    facts["radiograph_patients"] = facts["sop_iuid"].map(n_patients).astype("float64")
    n_dates = facts.groupby(["batch_date", "sop_iuid"])["date_x"].transform("nunique")
    facts["radiograph_dates"] = n_dates.astype("float64")
    facts["rau_possible"] = _rau_possible(facts, readings)
    return facts


def reading_facts(readings: pd.DataFrame, accepted_consultations: pd.DataFrame) -> pd.DataFrame:
    """Add `consultation_accepted`, `percent_readable` and `on_grid` (a multiple of 5 percent)."""
    facts = readings.copy()
    facts["record_id"] = facts["id_x"].fillna("?") + " " + facts["joint"]
    facts["consultation_accepted"] = _rows(facts).isin(_rows(accepted_consultations))
    facts["percent_readable"] = _readable(facts, "reading_percent")
    facts["on_grid"] = _on_grid(facts["reading_percent"])
    return facts


def disease_activity_facts(activity: pd.DataFrame) -> pd.DataFrame:
    """Add facts about duplicates, readable cells, whole numbers of joints and recomputed DAS28.

    Returns:
        The rows with `date` as timestamp and `date_readable`, `visit_variants`, `exact_copy`, `<measure>_readable`,
        `swollen_28_whole`, `tender_28_whole`, `das28_esr_agrees` and `das28_crp_agrees`.
    """
    facts = activity.copy()
    facts["record_id"] = facts["patient_id"].fillna("?") + " " + facts["date_text"].fillna("?")
    facts["date"] = _timestamps(facts["date"])
    for column in ("date", *MEASURES):
        facts[f"{column}_readable"] = _readable(facts, column)
    facts["visit_variants"], facts["exact_copy"] = _repeats(
        facts, ["patient_id", "date"], _contents(facts, list(MEASURES))
    )
    for count in ("swollen_28", "tender_28"):
        facts[f"{count}_whole"] = _if(facts[count].notna(), facts[count] % 1 == 0)
    facts["das28_esr_agrees"], facts["das28_crp_agrees"] = _das28_agrees(facts)
    return facts


def image_facts(images: pd.DataFrame, radiographs: pd.Series, known_images: pd.DataFrame) -> pd.DataFrame:
    """Add facts about the file name, the radiograph and similar files.

    Files that do not decode are compared with no other: a damaged file must not block the file that replaces it.

    Args:
        images: Staged images.
        radiographs: `sop_iuid` of the radiographs of accepted consultations, of this run and of the warehouse.
        known_images: `sop_iuid`, `joint`, `image_sha256` of the images in the warehouse.

    Returns:
        The images with `name_matches`, `radiograph_known`, `other_images` (number of different images of this joint),
        `joints_of_file` (number of joints with the same content) and `exact_copy`. Both numbers include this run and
        the warehouse; they are 0 and 1 for an image that the warehouse already has for this joint.
    """
    facts = images.copy()
    named = facts["sop_iuid"].notna() & facts["joint"].notna()
    facts["record_id"] = (facts["sop_iuid"] + "_" + facts["joint"]).where(named, None)
    facts["name_matches"] = named
    facts["radiograph_known"] = _if(named, facts["sop_iuid"].isin(radiographs))

    image = [*JOINT, "sha256"]
    good = facts.loc[named & facts["decodes"].astype(bool), [*LANDING_ORDER, *image]]
    good = good.sort_values(LANDING_ORDER, kind="stable")
    known = known_images.rename(columns={"image_sha256": "sha256"})[image]
    every = pd.concat([good[image], known], ignore_index=True).drop_duplicates()
    every["images"] = every.groupby(JOINT)["sha256"].transform("size")
    every["joints"] = every.groupby("sha256")["joint"].transform("size")
    counts = good.merge(every, "left", image).set_index(good.index)
    is_known = pd.MultiIndex.from_frame(good[image]).isin(pd.MultiIndex.from_frame(known))
    facts["other_images"] = (counts["images"] - 1).mask(is_known, 0).reindex(facts.index, fill_value=0)
    facts["joints_of_file"] = counts["joints"].mask(is_known, 1).reindex(facts.index, fill_value=1)
    facts["exact_copy"] = good.duplicated(image).reindex(facts.index, fill_value=False)
    return facts


def prediction_facts(predictions: pd.DataFrame, planned: pd.DataFrame, rule: ReadOutRule = USUAL_RULE) -> pd.DataFrame:
    """Return one row per image that was planned or predicted, with facts about its prediction.

    Args:
        predictions: Predictions with the columns of the scorer (`image_sha256`, `cdf`, `predicted_percent`, ...).
        planned: `image_sha256` of the images to be scored.
        rule: Read-out rule of the model's grades.

    Returns:
        The predictions, and the planned images without one, with `row_key` (a number), `planned`, `predicted`, `once`,
        `cdf_in_range`, `cdf_monotone`, `quantiles_ordered`, `grade_fits_mean`, `probabilities_sum_to_one`. Facts about
        the numbers of a prediction are null where there is no prediction.
    """
    facts = predictions.reset_index(drop=True)
    missing = planned.loc[~planned["image_sha256"].isin(facts["image_sha256"]), ["image_sha256"]].drop_duplicates()
    cdf = _matrix(facts["cdf"], N_POINTS)
    with np.errstate(invalid="ignore"):
        facts["cdf_in_range"] = np.all((cdf >= 0) & (cdf <= 1), axis=1)
        monotone = pd.Series(np.all(np.diff(cdf, axis=1) >= 0, axis=1), facts.index)
    facts["cdf_monotone"] = _if(facts["cdf_in_range"], monotone)
    low, middle, high = (facts[f"predicted_{name}"].astype("float64") for name in ("q05", "median", "q95"))
    facts["quantiles_ordered"] = (low >= 0) & (low <= middle) & (middle <= high) & (high <= 100)
    probability = _matrix(facts["grade_probability"], ratingen.N_GRADES)
    sums_to_one = np.abs(probability.sum(axis=1) - 1) <= PROBABILITY_TOLERANCE
    facts["grade_fits_mean"] = _grade_fits(facts["predicted_percent"], probability, facts["predicted_grade"], rule)
    facts["probabilities_sum_to_one"] = sums_to_one & np.all((probability >= 0) & (probability <= 1), axis=1)
    facts["planned"] = facts["image_sha256"].isin(planned["image_sha256"])
    facts["once"] = ~facts["image_sha256"].duplicated(keep=False)
    facts["predicted"] = True
    facts = facts.astype({column: "object" for column in facts.columns if facts[column].dtype == bool})
    missing = missing.assign(planned=True, predicted=False, once=True, predicted_percent=0.0)
    facts = pd.concat([facts, missing], ignore_index=True)
    return facts.assign(row_key=facts.index)


def training_set_facts(joints: pd.DataFrame) -> pd.DataFrame:
    """Add facts about the reading, the patient and the image.

    Args:
        joints: `pixels_sha256`, `patient_id`, `part` and `reading_percent` of every joint.

    Returns:
        The joints with `row_key` (a number), `on_grid` (a multiple of 5 percent), `parts_of_patient` and
        `readings_of_image` (number of different readings of the same pixels).
    """
    facts = joints.reset_index(drop=True)
    return facts.assign(
        row_key=facts.index,
        on_grid=_on_grid(facts["reading_percent"]),
        parts_of_patient=facts.groupby("patient_id")["part"].transform("nunique"),
        readings_of_image=facts.groupby("pixels_sha256")["reading_percent"].transform("nunique"),
    )


def _if(applies: pd.Series, fact: pd.Series) -> pd.Series:
    """Return the fact, and null where it does not apply."""
    return fact.astype("object").where(applies, None)


def _timestamps(dates: pd.Series) -> pd.Series:
    return pd.to_datetime(dates).astype("datetime64[s]")


def _readable(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return whether a cell could be parsed; null for an empty cell."""
    return _if(frame[f"{column}_text"].notna(), frame[column].notna())


def _on_grid(percent: pd.Series) -> pd.Series:
    values = percent.astype("float64")
    return _if(values.between(0, 100), values % 5 == 0)


def _rows(frame: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[ROW])


def _contents(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return parsed values, and the text of cells that could not be parsed, so that "7,0" equals "7"."""
    unread = {f"{column}_text": frame[f"{column}_text"].where(frame[column].isna(), None) for column in columns}
    return frame[columns].assign(**unread)


def _repeats(frame: pd.DataFrame, key: list[str], contents: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the number of different contents with a row's key in its folder, and whether an earlier row is equal."""
    ordered = frame.sort_values(LANDING_ORDER, kind="stable")
    key_of_folder = ["batch_date", *key]
    keyed = ordered[key].notna().all(axis=1)
    rows = pd.concat([ordered[key_of_folder], contents.drop(columns=key, errors="ignore")], axis=1)[keyed]
    content = rows.groupby(list(rows.columns), dropna=False, sort=False).ngroup()
    variants = content.groupby([rows[column] for column in key_of_folder]).transform("nunique")
    return (
        variants.reindex(frame.index, fill_value=0).astype("int64"),
        content.duplicated().reindex(frame.index, fill_value=False),
    )


def _joints_of_rows(consultations: pd.DataFrame, readings: pd.DataFrame) -> pd.Series:
    """Return all readings of a row as one text, to compare rows."""
    percent = readings["reading_percent"]
    value = percent.astype("str").where(percent.notna(), readings["reading_percent_text"])
    cells = (readings["joint"] + "=" + value).to_frame("cell").assign(**readings[ROW])
    return _of_rows(consultations, cells.sort_values("cell").groupby(ROW)["cell"].agg(";".join), "")


def _of_rows(consultations: pd.DataFrame, by_row: pd.Series, default: Any) -> pd.Series:
    values = by_row.reindex(_rows(consultations)).to_numpy()
    return pd.Series(values, consultations.index).fillna(default)


def _rau_possible(consultations: pd.DataFrame, readings: pd.DataFrame) -> pd.Series:
    """Return whether some grades of the joints that are not in the row give the reported score.

    If the grades of m joints sum to s, a score `sum * 38 / n` over any n >= m joints that include these is between s
    and s + 5 * (38 - m), whatever n is: the reader's form may have 10, 32 or 38 joints.
    """
    read = readings[readings["reading_percent"].astype("float64").between(0, 100)]
    grades = pd.Series(ratingen.grade(read["reading_percent"].to_numpy("float64")), read.index)
    by_row = grades.groupby([read[column] for column in ROW])
    total, n_read = (_of_rows(consultations, by_row.agg(how), 0) for how in ("sum", "count"))
    reported = consultations["rau_score"].astype("float64")
    highest = total + ratingen.MAX_GRADE * (RATINGEN_TOTAL - n_read)
    possible = reported.between(total - RAU_TOLERANCE, highest + RAU_TOLERANCE)
    return _if(reported.between(0, MAX_SCORE) & (n_read > 0), possible)


def _das28_agrees(facts: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return whether the reported scores equal those of the components: four variables with ESR, three with CRP.

    Null where a component is missing; for DAS28-ESR that includes the patient's global assessment.
    """

    def component(column: str) -> npt.NDArray[np.float64]:
        values = facts[column].astype("float64")
        return np.asarray(values.where(values.between(0, _MAXIMUM[column])), dtype=np.float64)

    tender, swollen = component("tender_28"), component("swollen_28")
    patient_global = component("global_patient_estimate_disease_activity")

    def agrees(column: str, recomputed: npt.NDArray[np.float64]) -> pd.Series:
        difference = (facts[column].astype("float64") - recomputed).abs()
        return _if(difference.notna(), difference <= DAS28_TOLERANCE)

    return (
        agrees("das28bsr_score", das28.das28_esr(tender, swollen, component("esr"), patient_global)),
        agrees("das283crp_score", das28.das28_crp(tender, swollen, component("crp"))),
    )


def _matrix(column: pd.Series, length: int) -> npt.NDArray[np.float64]:
    """Return a column of lists as a matrix, with a row of NaN for a list of another length."""
    matrix = np.full((len(column), length), np.nan)
    for row, values in enumerate(column):
        if values is not None and np.size(values) == length:
            matrix[row] = values
    return matrix


def _grade_fits(
    mean: pd.Series, probability: npt.NDArray[np.float64], grade: pd.Series, rule: ReadOutRule
) -> pd.Series:
    in_range = mean.astype("float64").between(0, 100)
    percent = mean.astype("float64").where(in_range, 0.0).to_numpy()
    fits = np.zeros(len(percent), dtype=bool)
    # Mean and probabilities were rounded to single precision: next to a border, either grade is correct.
    for nudge in (-1, 0, 1):
        nudged = probability.copy()
        nudged[:, [0, -1]] += MEDIAN_TOLERANCE * np.array([max(-nudge, 0), max(nudge, 0)])
        expected = rule.grade(np.clip(percent + nudge * MEAN_TOLERANCE, 0, 100), nudged)
        fits |= expected == grade.astype("float64").to_numpy()
    return _if(in_range, pd.Series(fits, mean.index))
