"""Validation of a batch and of predictions.

The suites run in the order of the dependencies between datasets: consultations before their readings, because a
quarantined consultation excludes its readings, and before images, because an image needs the radiograph of an accepted
consultation of this run or an earlier one.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from expectations.consultations import consultations_suite
from expectations.disease_activity import disease_activity_suite
from expectations.images import images_suite
from expectations.predictions import predictions_suite
from expectations.readings import readings_suite
from scoring.errors import BadInput, ModelRejected
from scoring.networks.readout import USUAL_RULE, ReadOutRule
from scoring.settings import Settings
from scoring.validation import facts
from scoring.validation.runner import Verdict, broken_table_rules, row_breaches, validate

if TYPE_CHECKING:
    from scoring.validation.docs import BatchDocs


class Known(NamedTuple):
    """The rows of the warehouse that concern the run.

    Attributes:
        radiographs: `sop_iuid`, `patient_id` of registry.radiograph.
        images: `sop_iuid`, `joint`, `image_sha256` of imaging.joint_image, for the run's radiographs and hashes.
    """

    radiographs: pd.DataFrame
    images: pd.DataFrame


class BatchVerdict(NamedTuple):
    """The verdicts on the datasets of a batch, in the order of validation."""

    consultations: Verdict
    readings: Verdict
    disease_activity: Verdict
    images: Verdict

    @property
    def quarantine(self) -> pd.DataFrame:
        """The quarantine rows of all datasets."""
        listed = [verdict.quarantine for verdict in self if len(verdict.quarantine)]
        return pd.concat(listed, ignore_index=True) if listed else self.consultations.quarantine


def validate_batch(
    staged: Mapping[str, pd.DataFrame],
    known: Known,
    settings: Settings,
    batch_date: date,
    docs: "BatchDocs | None" = None,
) -> BatchVerdict:
    """Validate the staged tables of a run, by dataset.

    Returns:
        The verdicts; the accepted rows have the columns of the staged ones.

    Raises:
        BadInput: A table lacks a column, a column does not hold numbers, or the share of bad rows in a table of the
            batch's own folder is too large. The message lists all problems of the same kind. Data Docs show them, too.
        RuleNotComputed: A rule could not be computed.
    """
    suites = {
        "consultations": consultations_suite(batch_date),
        "readings": readings_suite(),
        "disease_activity": disease_activity_suite(batch_date),
        "images": images_suite(min_side=settings.min_image_side, max_side=settings.max_image_side),
    }
    problems = [
        f"{dataset} ({_files(staged[dataset])}): {rule.reason} {rule.remedy}"
        for dataset, suite in suites.items()
        for rule in broken_table_rules(staged[dataset], suite, docs=docs)
    ]
    _reject_if(problems, batch_date)

    def judge(dataset: str, with_facts: pd.DataFrame) -> Verdict:
        verdict = validate(with_facts, suites[dataset], docs=docs)
        received = staged[dataset]
        return replace(verdict, accepted=received[received["row_key"].isin(verdict.accepted["row_key"])])

    readings = staged["readings"]
    consultations = judge(
        "consultations", facts.consultation_facts(staged["consultations"], readings, known.radiographs)
    )
    radiographs = pd.concat([consultations.accepted["sop_iuid"], known.radiographs["sop_iuid"]]).dropna()
    verdict = BatchVerdict(
        consultations,
        judge("readings", facts.reading_facts(readings, consultations.accepted)),
        judge("disease_activity", facts.disease_activity_facts(staged["disease_activity"])),
        judge("images", facts.image_facts(staged["images"], radiographs, known.images)),
    )
    _reject_if([_share_problem(staged[each.dataset], each, settings, batch_date) for each in verdict], batch_date)
    return verdict


def check_predictions(
    predictions: pd.DataFrame,
    planned: pd.DataFrame,
    rule: ReadOutRule = USUAL_RULE,
    docs: "BatchDocs | None" = None,
) -> None:
    """Check that the predictions, with the columns of the scorer, are complete and possible.

    Args:
        predictions: The predictions of a shard or batch.
        planned: `image_sha256` of the images to be scored.
        rule: Read-out rule of the model's grades.
        docs: Receives the counts for Data Docs.

    Raises:
        ModelRejected: A rule is broken; the message has each broken rule and its number of images. Publish none.
        RuleNotComputed: A rule could not be computed.
    """
    suite = predictions_suite()
    problems = [f"{broken.name}: {broken.reason}" for broken in broken_table_rules(predictions, suite, docs=docs)]
    if not problems:
        checked = facts.prediction_facts(predictions, planned, rule)
        breaches = row_breaches(checked, suite, docs=docs)
        problems = [f"{breach.rule.name}: {len(breach.rows)} of {len(checked)}" for breach in breaches]
    if problems:
        raise ModelRejected(
            f"The predictions of {len(planned)} planned images were not published, because the network or its engine "
            f"is faulty ({'; '.join(problems)}). Score the batch again; if the error remains, promote another model."
        )


def _share_problem(received: pd.DataFrame, verdict: Verdict, settings: Settings, batch_date: date) -> str:
    """Describe a table with too many bad rows in the batch's own folder; "" if there are not too many.

    Quarantined rows of earlier batches are checked again in every run until they are corrected, so they do not count.
    """
    n_rows = int((received["batch_date"] == batch_date).sum())
    listed = verdict.quarantine[verdict.quarantine["batch_date"] == batch_date]
    bad = listed[~listed["kept"].astype(bool) & listed["row_key"].isin(verdict.bad)].drop_duplicates("row_key")
    if n_rows < settings.min_rows_for_bad_share or len(bad) / n_rows <= settings.max_bad_share:
        return ""
    counts = bad["rule"].value_counts(sort=False)
    example = bad[bad["rule"] == counts.idxmax()].iloc[0]
    return (
        f"{verdict.dataset} ({_files(bad)}): {len(bad)} of {n_rows} rows are bad ({len(bad) / n_rows * 100:.0f} "
        f"percent, the limit is {settings.max_bad_share * 100:.0f} percent). The rule broken most often is "
        f"{example['rule']} ({counts.max()} rows, for example {example['row_key']}). {example['reason']} "
        f"{example['remedy']}"
    )


def _files(frame: pd.DataFrame) -> str:
    if "source_file" not in frame or frame.empty:
        return "no rows"
    files = sorted(frame["source_file"].unique())
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def _reject_if(problems: list[str], batch_date: date) -> None:
    listed = "\n".join(f"- {problem}" for problem in problems if problem)
    if listed:
        raise BadInput(
            f"The batch of {batch_date} was rejected and nothing was published. Correct these problems, deliver the "
            f"files again and run the batch again:\n{listed}"
        )
