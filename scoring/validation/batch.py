"""Validation of one night: four suites, in the order in which one dataset depends on another, and the predictions'.

consultations -> readings (a quarantined consultation takes its readings with it)
consultations -> images (an image needs a radiograph of an accepted consultation, of this night or an earlier one)
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol, Self

import great_expectations as gx
import pandas as pd

from expectations.consultations import consultations as consultations_suite
from expectations.disease_activity import disease_activity as disease_activity_suite
from expectations.images import images as images_suite
from expectations.predictions import predictions as predictions_suite
from expectations.readings import readings as readings_suite
from scoring.clinical import joints
from scoring.contract import MEASURES
from scoring.errors import BadInput, ModelRejected
from scoring.networks.readout import USUAL_RULE, ReadOutRule
from scoring.validation import facts
from scoring.validation.runner import Breach, DocsSink, Verdict, row_breaches, table_breaches, validate


@dataclass(frozen=True)
class Staged:
    """The staged frames of one run."""

    consultations: pd.DataFrame
    readings: pd.DataFrame
    disease_activity: pd.DataFrame
    images: pd.DataFrame


@dataclass(frozen=True)
class Known:
    """What the warehouse holds already, as far as it concerns the run's radiographs and images.

    Attributes:
        radiographs: `sop_iuid`, `patient_id` of registry.radiograph.
        images: `sop_iuid`, `joint`, `image_sha256` of imaging.joint_image, of the run's radiographs and of the run's hashes.
    """

    radiographs: pd.DataFrame
    images: pd.DataFrame


class _Settings(Protocol):
    @property
    def max_bad_share(self) -> float: ...
    @property
    def min_rows_for_bad_share(self) -> int: ...
    @property
    def min_image_side(self) -> int: ...
    @property
    def max_image_side(self) -> int: ...


@dataclass(frozen=True)
class Thresholds:
    """Numbers that the rules need.

    Attributes:
        max_bad_share: A table stops the night if a larger share of the rows in the night's own folder is bad.
        min_rows_for_bad_share: Below this many rows of the night's own the share is not judged.
        min_image_side: Smallest width and height of an image, pixels.
        max_image_side: Largest width and height of an image, pixels.
        min_contrast: Smallest standard deviation of an image's grey levels. A joint has 20 and more; an empty field
            has the radiograph's noise, 1 to 3.
        max_dark_share: Largest share of black pixels. A collimated cut of a finger tip is seldom half black.
        max_bright_share: Largest share of white pixels. Bone is not white in a radiograph that shows its surface.
    """

    max_bad_share: float
    min_rows_for_bad_share: int
    min_image_side: int
    max_image_side: int
    min_contrast: float = 4.0
    max_dark_share: float = 0.8
    max_bright_share: float = 0.5

    @classmethod
    def of(cls, settings: _Settings) -> Self:
        """The thresholds of an installation."""
        return cls(
            max_bad_share=settings.max_bad_share,
            min_rows_for_bad_share=settings.min_rows_for_bad_share,
            min_image_side=settings.min_image_side,
            max_image_side=settings.max_image_side,
        )


@dataclass(frozen=True)
class BatchVerdict:
    """The verdicts on one night's datasets."""

    consultations: Verdict
    readings: Verdict
    disease_activity: Verdict
    images: Verdict

    @property
    def all(self) -> tuple[Verdict, ...]:
        """The four verdicts in the order in which they were reached."""
        return self.consultations, self.readings, self.disease_activity, self.images

    @property
    def quarantine(self) -> pd.DataFrame:
        """All (row, rule) breaches of the night, in the form of scoring.quarantine."""
        listed = [verdict.quarantine for verdict in self.all if len(verdict.quarantine)]
        return pd.concat(listed, ignore_index=True) if listed else self.consultations.quarantine


def validate_batch(
    staged: Staged, known: Known, thresholds: Thresholds, batch_date: date, docs: DocsSink | None = None
) -> BatchVerdict:
    """Validate the staged frames of one night.

    Args:
        staged: The frames as landing staged them.
        known: What the warehouse holds.
        thresholds: Numbers that the rules need.
        batch_date: The night.
        docs: Takes the counts for Data Docs, also of a night that is refused.

    Returns:
        The verdicts; the accepted frames have the columns of the staged ones.

    Raises:
        BadInput: A table lacks a column, a column holds no numbers, or too large a share of the rows in a table of the
            night's own folder is bad. The message lists everything of that kind.
        RuleNotComputed: A rule could not be computed.
    """
    catalogue = list(joints.COLUMNS)
    suites = {
        "consultations": consultations_suite(batch_date),
        "readings": readings_suite(catalogue),
        "disease_activity": disease_activity_suite(batch_date),
        "images": images_suite(
            joints=catalogue,
            min_side=thresholds.min_image_side,
            max_side=thresholds.max_image_side,
            min_contrast=thresholds.min_contrast,
            max_dark_share=thresholds.max_dark_share,
            max_bright_share=thresholds.max_bright_share,
        ),
    }
    _refuse(batch_date, _table_complaints(staged, suites, docs))

    def judge(dataset: str, with_facts: pd.DataFrame) -> Verdict:
        landed: pd.DataFrame = getattr(staged, dataset)
        return _without_facts(validate(with_facts, suites[dataset], dataset=dataset, docs=docs), landed)

    consultations = judge(
        "consultations", facts.consultation_facts(staged.consultations, staged.readings, known.radiographs)
    )
    readings = judge("readings", facts.reading_facts(staged.readings, consultations.accepted))
    activity = judge(
        "disease_activity",
        facts.disease_activity_facts(staged.disease_activity, MEASURES),
    )
    radiographs = pd.concat([consultations.accepted["sop_iuid"], known.radiographs["sop_iuid"]]).dropna()
    images = judge("images", facts.image_facts(staged.images, radiographs, known.images))
    verdict = BatchVerdict(consultations, readings, activity, images)
    _refuse(batch_date, _share_complaints(staged, verdict.all, thresholds, batch_date))
    return verdict


def check_predictions(
    predictions: pd.DataFrame, planned: pd.DataFrame, rule: ReadOutRule = USUAL_RULE, docs: DocsSink | None = None
) -> None:
    """Refuse predictions that are incomplete or impossible.

    Args:
        predictions: Predictions in the staged form of the contract.
        planned: `image_sha256` of the images that were to be scored.
        rule: How the model's grades are read.
        docs: Takes the counts for Data Docs.

    Raises:
        ModelRejected: A rule is broken; the message has the rules and how many images break each. Publish none.
        RuleNotComputed: A rule could not be computed.
    """
    suite = predictions_suite()
    complaints = [f"{breach.rule}: {breach.reason}" for breach in table_breaches(predictions, suite, docs=docs)]
    if not complaints:
        checked = facts.prediction_facts(predictions, planned, rule).reset_index(drop=True)
        checked["row_key"] = checked.index
        complaints = [
            f"{breach.rule}: {len(breach.rows)} of {len(checked)}" for breach in row_breaches(checked, suite, docs=docs)
        ]
    if complaints:
        raise ModelRejected(
            f"the predictions of {len(planned)} planned images are not published, the network or its engine is at "
            f"fault ({'; '.join(complaints)}). Score the night again; if it stays so, promote another model."
        )


def _table_complaints(staged: Staged, suites: dict[str, gx.ExpectationSuite], docs: DocsSink | None) -> list[str]:
    complaints = []
    for dataset, suite in suites.items():
        frame: pd.DataFrame = getattr(staged, dataset)
        complaints += [_complaint(dataset, frame, breach) for breach in table_breaches(frame, suite, docs=docs)]
    return complaints


def _complaint(dataset: str, frame: pd.DataFrame, breach: Breach) -> str:
    return f"{dataset} ({_files(frame)}): {breach.reason} {breach.remedy}"


def _share_complaints(
    staged: Staged, verdicts: Iterable[Verdict], thresholds: Thresholds, batch_date: date
) -> list[str]:
    """Tables of the night's own folder with too many bad rows.

    What is left of earlier nights is judged again until it is put right, and must not stop every night until then.
    """
    complaints = []
    for verdict in verdicts:
        landed: pd.DataFrame = getattr(staged, verdict.dataset)
        n_rows = int((landed["batch_date"] == batch_date).sum())
        bad = _bad_rows(verdict, batch_date)
        if n_rows >= thresholds.min_rows_for_bad_share and len(bad) / n_rows > thresholds.max_bad_share:
            complaints.append(
                f"{verdict.dataset} ({_files(bad)}): {len(bad)} of {n_rows} rows are bad ({len(bad) / n_rows:.0%}, "
                f"allowed are {thresholds.max_bad_share:.0%}). {_why(bad)}"
            )
    return complaints


def _bad_rows(verdict: Verdict, batch_date: date) -> pd.DataFrame:
    """The quarantine rows of the night's own bad rows, each once, with the rule that it is booked under."""
    listed = verdict.quarantine[~verdict.quarantine["kept"].astype(bool)]
    of_tonight = listed["row_key"].isin(verdict.bad) & (listed["batch_date"] == batch_date)
    return listed[of_tonight].drop_duplicates("row_key")


def _why(bad: pd.DataFrame) -> str:
    """The most frequent rule, with one row to look at and its remedy."""
    rule, n = max(bad.groupby("rule", sort=False).size().items(), key=lambda item: item[1])
    example = bad[bad["rule"] == rule].iloc[0]
    return (
        f"Most frequent: {rule} ({n} rows, for example {example['row_key']}). {example['reason']} {example['remedy']}"
    )


def _files(frame: pd.DataFrame) -> str:
    if "source_file" not in frame or frame.empty:
        return "no rows"
    files = sorted(frame["source_file"].unique())
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def _refuse(batch_date: date, complaints: list[str]) -> None:
    if complaints:
        listed = "\n".join(f"- {complaint}" for complaint in complaints)
        raise BadInput(f"the night of {batch_date} cannot be used and nothing of it was published:\n{listed}")


def _without_facts(verdict: Verdict, landed: pd.DataFrame) -> Verdict:
    """The verdict with accepted rows as they were staged."""
    return replace(verdict, accepted=landed[landed["row_key"].isin(verdict.accepted["row_key"])])
