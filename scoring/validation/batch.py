"""Validation of a batch and of predictions.

The suites run in the order of the dependencies between datasets: consultations before their readings, because a
quarantined consultation excludes its readings, and before images, because an image needs the radiograph of an accepted
consultation of this run or an earlier one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Self

import pandas as pd

from expectations.consultations import consultations_suite
from expectations.disease_activity import disease_activity_suite
from expectations.images import images_suite
from expectations.predictions import predictions_suite
from expectations.readings import readings_suite
from scoring.errors import BadInput, ModelRejected
from scoring.networks.readout import USUAL_RULE, ReadOutRule
from scoring.validation import facts
from scoring.validation.runner import DocsSink, Verdict, row_breaches, table_breaches, validate

if TYPE_CHECKING:
    from scoring.settings import Settings


@dataclass(frozen=True)
class Staged:
    """The staged tables of a run."""

    consultations: pd.DataFrame
    readings: pd.DataFrame
    disease_activity: pd.DataFrame
    images: pd.DataFrame


@dataclass(frozen=True)
class Known:
    """The rows of the warehouse that concern the run.

    Attributes:
        radiographs: `sop_iuid`, `patient_id` of registry.radiograph.
        images: `sop_iuid`, `joint`, `image_sha256` of imaging.joint_image, for the run's radiographs and hashes.
    """

    radiographs: pd.DataFrame
    images: pd.DataFrame


@dataclass(frozen=True)
class Thresholds:
    """Limits of the rules.

    Attributes:
        max_bad_share: Largest share of bad rows in a table of the batch's own folder; a larger share stops the batch.
        min_rows_for_bad_share: Number of rows of the batch's own folder from which the share is checked.
        min_image_side: Smallest width and height of an image, in pixels.
        max_image_side: Largest width and height of an image, in pixels.
        min_contrast: Smallest standard deviation of the grey levels of an image. A joint has 20 or more; an empty field
            has the noise of the radiograph, 1 to 3.
        max_dark_share: Largest share of black pixels. Even a collimated cut of a finger tip is rarely half black.
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
    def of(cls, settings: "Settings") -> Self:
        """Return the thresholds of an installation."""
        return cls(
            max_bad_share=settings.max_bad_share,
            min_rows_for_bad_share=settings.min_rows_for_bad_share,
            min_image_side=settings.min_image_side,
            max_image_side=settings.max_image_side,
        )


@dataclass(frozen=True)
class BatchVerdict:
    """The verdicts on the datasets of a batch."""

    consultations: Verdict
    readings: Verdict
    disease_activity: Verdict
    images: Verdict

    @property
    def all(self) -> tuple[Verdict, ...]:
        """The four verdicts, in the order of validation."""
        return self.consultations, self.readings, self.disease_activity, self.images

    @property
    def quarantine(self) -> pd.DataFrame:
        """The quarantine rows of all datasets."""
        listed = [verdict.quarantine for verdict in self.all if len(verdict.quarantine)]
        return pd.concat(listed, ignore_index=True) if listed else self.consultations.quarantine


def validate_batch(
    staged: Staged, known: Known, thresholds: Thresholds, batch_date: date, docs: DocsSink | None = None
) -> BatchVerdict:
    """Validate the staged tables of a run.

    Args:
        staged: The staged tables.
        known: The related rows of the warehouse.
        thresholds: Limits of the rules.
        batch_date: Date of the batch.
        docs: Receives the counts for Data Docs, also for a batch that is rejected.

    Returns:
        The verdicts; the accepted rows have the columns of the staged ones.

    Raises:
        BadInput: A table lacks a column, a column does not hold numbers, or the share of bad rows in a table of the
            batch's own folder is too large. The message lists all problems of the same kind.
        RuleNotComputed: A rule could not be computed.
    """
    suites = {
        "consultations": consultations_suite(batch_date),
        "readings": readings_suite(),
        "disease_activity": disease_activity_suite(batch_date),
        "images": images_suite(
            min_side=thresholds.min_image_side,
            max_side=thresholds.max_image_side,
            min_contrast=thresholds.min_contrast,
            max_dark_share=thresholds.max_dark_share,
            max_bright_share=thresholds.max_bright_share,
        ),
    }
    _reject_if(
        [
            f"{dataset} ({_files(frame)}): {breach.rule.reason} {breach.rule.remedy}"
            for dataset, suite in suites.items()
            for frame in [getattr(staged, dataset)]
            for breach in table_breaches(frame, suite, docs=docs)
        ],
        batch_date,
    )

    def judge(dataset: str, with_facts: pd.DataFrame) -> Verdict:
        verdict = validate(with_facts, suites[dataset], docs=docs)
        received: pd.DataFrame = getattr(staged, dataset)
        return replace(verdict, accepted=received[received["row_key"].isin(verdict.accepted["row_key"])])

    consultations = judge(
        "consultations", facts.consultation_facts(staged.consultations, staged.readings, known.radiographs)
    )
    readings = judge("readings", facts.reading_facts(staged.readings, consultations.accepted))
    activity = judge("disease_activity", facts.disease_activity_facts(staged.disease_activity))
    radiographs = pd.concat([consultations.accepted["sop_iuid"], known.radiographs["sop_iuid"]]).dropna()
    images = judge("images", facts.image_facts(staged.images, radiographs, known.images))
    verdict = BatchVerdict(consultations, readings, activity, images)
    _reject_if(_share_problems(staged, verdict.all, thresholds, batch_date), batch_date)
    return verdict


def check_predictions(
    predictions: pd.DataFrame, planned: pd.DataFrame, rule: ReadOutRule = USUAL_RULE, docs: DocsSink | None = None
) -> None:
    """Check that the predictions are complete and possible.

    Args:
        predictions: Predictions with the columns of the scorer.
        planned: `image_sha256` of the images to be scored.
        rule: Read-out rule of the model's grades.
        docs: Receives the counts for Data Docs.

    Raises:
        ModelRejected: A rule is broken; the message has each broken rule and its number of images. Publish none.
        RuleNotComputed: A rule could not be computed.
    """
    suite = predictions_suite()
    problems = [f"{breach.rule.name}: {breach.rule.reason}" for breach in table_breaches(predictions, suite, docs=docs)]
    if not problems:
        checked = facts.prediction_facts(predictions, planned, rule)
        problems = [
            f"{breach.rule.name}: {len(breach.rows)} of {len(checked)}"
            for breach in row_breaches(checked, suite, docs=docs)
        ]
    if problems:
        raise ModelRejected(
            f"The predictions of {len(planned)} planned images were not published, because the network or its engine "
            f"is faulty ({'; '.join(problems)}). Score the batch again; if the error remains, promote another model."
        )


def _share_problems(staged: Staged, verdicts: Iterable[Verdict], thresholds: Thresholds, batch_date: date) -> list[str]:
    """List the tables of the batch's own folder with too many bad rows.

    Quarantined rows of earlier batches are checked again in every run until they are corrected, so they do not count.
    """
    problems = []
    for verdict in verdicts:
        received: pd.DataFrame = getattr(staged, verdict.dataset)
        n_rows = int((received["batch_date"] == batch_date).sum())
        excluded = verdict.quarantine[~verdict.quarantine["kept"].astype(bool)]
        is_bad = excluded["row_key"].isin(verdict.bad) & (excluded["batch_date"] == batch_date)
        bad = excluded[is_bad].drop_duplicates("row_key")
        if n_rows >= thresholds.min_rows_for_bad_share and len(bad) / n_rows > thresholds.max_bad_share:
            problems.append(
                f"{verdict.dataset} ({_files(bad)}): {len(bad)} of {n_rows} rows are bad "
                f"({len(bad) / n_rows * 100:.0f} percent, the limit is {thresholds.max_bad_share * 100:.0f} percent). "
                f"{_most_frequent(bad)}"
            )
    return problems


def _most_frequent(bad: pd.DataFrame) -> str:
    rule, n = max(bad.groupby("rule", sort=False).size().items(), key=lambda item: item[1])
    example = bad[bad["rule"] == rule].iloc[0]
    return (
        f"The rule broken most often is {rule} ({n} rows, for example {example['row_key']}). "
        f"{example['reason']} {example['remedy']}"
    )


def _files(frame: pd.DataFrame) -> str:
    if "source_file" not in frame or frame.empty:
        return "no rows"
    files = sorted(frame["source_file"].unique())
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def _reject_if(problems: list[str], batch_date: date) -> None:
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise BadInput(
            f"The batch of {batch_date} was rejected and nothing was published. Correct these problems, deliver the "
            f"files again and run the batch again:\n{listed}"
        )
