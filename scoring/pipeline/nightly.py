"""The steps of the nightly job, in order.

Each step reads what the previous one left in the run folder or in the warehouse, and returns counts that fit in an
XCom. Every step can be repeated: staged files are replaced whole, and a publishing step writes in one transaction that
changes nothing the second time. Heavy packages are imported inside the steps, because DAG files and the command line
import this module.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.pipeline import analytics, models, nightly_report, reconciliation
from scoring.pipeline import nightly_gate as gate
from scoring.pipeline.run import Run, begin, failure_recorded, finish
from scoring.pipeline.run_folder import RunFolder, step
from scoring.pipeline.shards import Shard, score_shard, shard_progress, shards_of
from scoring.progress import Progress, no_progress
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)

JOB = "nightly_scoring"


def open_run(settings: Settings, batch_date: date, *, trigger: str, triggered_by: str) -> Run:
    """Open a run, after checking the warehouse and the champion's files.

    If the warehouse has no champion, the shipped model is promoted.

    Raises:
        WarehouseNotMigrated: The warehouse does not have the tables of this version.
        ModelRejected: A file of the champion is missing or was changed.
    """
    from scoring.warehouse import migrate

    migrate.check_current(connect.warehouse(settings))
    return begin(settings, JOB, batch_date, models.champion(settings), trigger=trigger, triggered_by=triggered_by)


@step
def land(settings: Settings, run: Run, progress: Progress = no_progress) -> dict[str, int]:
    """Find the files of the batch and late files of earlier batches, read each once, and stage them as Parquet.

    Returns:
        Number of received rows, by dataset.

    Raises:
        LandingNotReady: The landing folder is missing or not closed.
        BadInput: A table of the batch cannot be read.
    """
    from scoring.landing.discovery import discover
    from scoring.landing.registry_source import read_registry
    from scoring.landing.staging import stage_batch
    from scoring.warehouse.queries import nightly, runs

    engine = connect.warehouse(settings)
    folder = RunFolder(settings, run.run_id)
    files = discover(
        settings.landing_url,
        run.batch_date,
        lookback_days=settings.lookback_days,
        success_marker=settings.success_marker,
        with_datasets=settings.registry_source == "files",
        # A file is late if its batch has run. Files of a batch that has not run wait for that run, so that a backfill
        # gives the same result as a run on schedule.
        late_folders=runs.succeeded_batches(engine),
    )
    staged = stage_batch(
        files,
        folder.url,
        image_pattern=settings.image_pattern,
        already_accepted=lambda keys: nightly.settled_files(engine, keys),
        seen_files=nightly.landing_files(engine, [file.source_file for file in files.datasets]),
        registry=read_registry(settings, run.batch_date),
        progress=progress,
    )
    folder.write_json("files.json", staged.file_sha256)
    folder.write_json("unusable.json", staged.unreadable_late_files)
    folder.write_json("present_images.json", [file.source_file for file in files.images])
    for source_file, reason in staged.unreadable_late_files.items():
        log.warning("late_file_unreadable run_id=%s file=%s reason=%s", run.run_id, source_file, reason)
    log.info("landed run_id=%s counts=%s images_known=%d", run.run_id, staged.counts, staged.images_known)
    return staged.counts


@step
def validate(settings: Settings, run: Run) -> dict[str, int]:
    """Run the suites of `expectations/` on the staged tables; split the rows into accepted and quarantined.

    Returns:
        Number of quarantined rows, by dataset.

    Raises:
        BadInput: The batch as a whole cannot be used; the message lists all reasons. Nothing is published.
    """
    from scoring.validation.batch import Known, validate_batch
    from scoring.validation.docs import BatchDocs
    from scoring.warehouse.queries import nightly

    engine = connect.warehouse(settings)
    folder = RunFolder(settings, run.run_id)
    staged = {dataset: folder.read_frame(f"{dataset}.parquet") for dataset in reconciliation.DATASETS}
    radiographs = sorted(_present(staged["consultations"]["sop_iuid"]) | _present(staged["images"]["sop_iuid"]))
    known = Known(
        radiographs=nightly.known_radiographs(engine, radiographs),
        images=nightly.known_images(engine, radiographs, sorted(_present(staged["images"]["sha256"]))),
    )
    docs = BatchDocs(settings.report_url, run.batch_date, run.run_id)
    try:
        verdict = validate_batch(staged, known, settings, run.batch_date, docs)
    finally:
        docs.write()
    for each in verdict:
        folder.write_frame(f"accepted_{each.dataset}.parquet", each.accepted)
    folder.write_frame("quarantine.parquet", _with_content(verdict.quarantine, staged["images"]))
    folder.write_json(
        "verdict.json", {each.dataset: {"received": each.n_rows, "quarantined": each.counts} for each in verdict}
    )
    quarantined = {each.dataset: each.n_rows - len(each.accepted) for each in verdict}
    log.info("validated run_id=%s quarantined=%s", run.run_id, quarantined)
    return quarantined


@step
def publish_registry(settings: Settings, run: Run) -> dict[str, int]:
    """Write accepted registry records, quarantined rows and the row counts of the tables, in one transaction.

    Returns:
        Numbers of new and updated rows in the three tables together.
    """
    from scoring.warehouse.publish import quarantine, registry, runs

    folder = RunFolder(settings, run.run_id)
    verdict = folder.read_json("verdict.json")
    accepted = {dataset: folder.read_frame(f"accepted_{dataset}.parquet") for dataset in reconciliation.DATASETS}
    with connect.transaction(settings) as connection:
        runs.publish_lock(connection)
        written = registry.publish_registry(
            connection,
            run.run_id,
            accepted["consultations"],
            accepted["readings"],
            accepted["disease_activity"],
            folder.read_frame("readings.parquet")[["id_x", "joint", "batch_date"]],
        )
        quarantine.publish_quarantine(connection, run.run_id, folder.read_frame("quarantine.parquet"))
        _resolve_quarantine(connection, run, folder, accepted)
        registry.publish_landing_files(connection, run.run_id, folder.read_json("files.json"))
        for dataset, counts in written.items():
            lines = reconciliation.count_lines(verdict[dataset], asdict(counts))
            runs.record_counts(connection, run.run_id, dataset, lines)
    new, updated = (sum(getattr(counts, name) for counts in written.values()) for name in ("new", "updated"))
    log.info("registry_published run_id=%s new=%d updated=%d", run.run_id, new, updated)
    return {"new": new, "updated": updated}


@step
def plan(settings: Settings, run: Run) -> list[Shard]:
    """Find the accepted images without a prediction of the run's model, and divide them into shards.

    Returns:
        The shards; none if every image has a prediction.
    """
    from scoring.warehouse.queries import nightly

    folder = RunFolder(settings, run.run_id)
    accepted = folder.read_frame("accepted_images.parquet")
    with connect.transaction(settings) as connection:
        done = nightly.already_scored(
            connection, list(accepted["sha256"]), run.model_version, run.preprocessing_version
        )
    planned = accepted.loc[~accepted["sha256"].isin(done), ["sha256", "sop_iuid", "joint", "uri"]]
    folder.write_frame("plan.parquet", planned.rename(columns={"sha256": "image_sha256"}))
    folder.clear_shard_failures()
    shards = shards_of(len(planned), settings.shard_size)
    log.info("planned run_id=%s images=%d shards=%d", run.run_id, len(planned), len(shards))
    return shards


@step
def score(settings: Settings, run: Run, shard: Shard, progress: Progress = no_progress) -> int:
    """Score one shard of the plan into the run folder.

    An image that was changed or removed since validation goes to quarantine when predictions are published.

    Returns:
        Number of joints scored.

    Raises:
        ModelRejected: A file of the model was changed.
        StorageUnavailable: The storage failed; the shard can be tried again.
    """
    folder = RunFolder(settings, run.run_id)
    planned = folder.read_frame("plan.parquet").iloc[shard.first : shard.first + shard.count]
    out_path = folder.path(f"predictions_{shard.first}.parquet")
    scored = score_shard(settings, run.model_version, planned, out_path, accept_missing=False, progress=progress)
    for image in scored.result.rejected:
        log.warning("image_rejected run_id=%s file=%s reason=%s", run.run_id, image.uri, image.reason)
    rejected = [image.image_sha256 for image in scored.result.rejected]
    folder.write_json(f"scored_{shard.first}.json", {"engine": scored.engine, "rejected": rejected})
    log.info("scored run_id=%s first=%d n=%d", run.run_id, shard.first, scored.result.n_scored)
    return scored.result.n_scored


@step
def publish_predictions(settings: Settings, run: Run) -> dict[str, int]:
    """Check every prediction; write images, predictions, Rau scores and the row counts of images in one transaction.

    Returns:
        Numbers of scored, already_scored and missing images.

    Raises:
        ModelRejected: A prediction is missing or impossible; nothing is published.
    """
    from scoring.analysis.rau import rau_predictions
    from scoring.validation.quarantine import rejected_at_scoring
    from scoring.warehouse.publish import predictions, quarantine, runs
    from scoring.warehouse.queries import analysis

    folder = RunFolder(settings, run.run_id)
    verdict = folder.read_json("verdict.json")["images"]
    predicted, rejected = _checked_predictions(settings, run, folder)
    accepted = folder.read_frame("accepted_images.parquet")
    changed = accepted["sha256"].isin(rejected)
    quarantined = _with_content(rejected_at_scoring(accepted[changed]), accepted)
    accepted = accepted[~changed]
    folder.write_frame("published_images.parquet", accepted)
    consultations = folder.read_frame("accepted_consultations.parquet")
    radiographs = sorted(_present(accepted["sop_iuid"]) | _present(consultations["sop_iuid"]))
    source = predictions.PredictionRun(
        run.run_id, run.batch_date, run.model_version, run.preprocessing_version, settings.revision
    )
    with connect.transaction(settings) as connection:
        runs.publish_lock(connection)
        counts = predictions.publish_predictions(connection, source, accepted, predicted)
        joints = analysis.radiograph_predictions(connection, run.model_version, run.preprocessing_version, radiographs)
        predictions.publish_rau(connection, source, rau_predictions(joints))
        quarantine.publish_quarantine(connection, run.run_id, quarantined)
        quarantine.resolve_quarantine(connection, run.run_id, accepted["row_key"], ())
        for rule, n in quarantined["rule"].value_counts().items():
            verdict["quarantined"][rule] = verdict["quarantined"].get(rule, 0) + int(n)
        outcomes = {"scored": counts.scored, "already_scored": counts.already_scored}
        runs.record_counts(connection, run.run_id, "images", reconciliation.count_lines(verdict, outcomes))
    log.info("predictions_published run_id=%s counts=%s rejected=%d", run.run_id, counts, len(quarantined))
    return asdict(counts)


@step
def analyse(settings: Settings, run: Run) -> int:
    """Refresh correlations, associations and forecasts as of the batch.

    Returns:
        Number of visits that have both damage and activity.
    """
    return analytics.refresh(settings, run.batch_date, run.model_version, run.run_id, forecasts=True)


@step
def write_report(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> str:
    """Write the nightly report, with the discrepancies known by now. Returns its URL."""
    return nightly_report.write(settings, run.run_id, gate.discrepancies(settings, run, unfinished))


def close_run(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> dict[str, int]:
    """Reconcile the row counts with the staged files and the warehouse, and append the result of the run.

    Returns:
        Number of received rows, by dataset.

    Raises:
        ReconciliationFailed: A row is not accounted for, or a step did not finish. The run is recorded as failed.
    """
    found = gate.discrepancies(settings, run, unfinished)
    finish(settings, run, found, summary=f"The run of batch {run.batch_date} failed")
    return {dataset: counts.received for dataset, counts in gate.row_counts(settings, run).items()}


def run_batch(
    settings: Settings, batch_date: date, *, triggered_by: str, progress: Progress = no_progress
) -> dict[str, Any]:
    """Run all steps for one batch in this process, as the DAG does.

    A run that fails is recorded as failed and gets a report, too.

    Returns:
        run_id, the counts of each step, and the URL of the report.
    """
    run = open_run(settings, batch_date, trigger="cli", triggered_by=triggered_by)
    with failure_recorded(run, partial(_close_failed, settings, run)):
        counts = {
            "run_id": run.run_id,
            "received": land(settings, run, progress),
            "quarantined": validate(settings, run),
            "registry": publish_registry(settings, run),
            "images": _score_and_publish(settings, run, progress),
            "visits_correlated": analyse(settings, run),
            "report": write_report(settings, run),
        }
    close_run(settings, run)
    return counts


def _score_and_publish(settings: Settings, run: Run, progress: Progress) -> dict[str, int]:
    shards = plan(settings, run)
    n_images = sum(shard.count for shard in shards)
    for shard in shards:
        score(settings, run, shard, shard_progress(progress, shard, n_images))
    return publish_predictions(settings, run)


def _close_failed(settings: Settings, run: Run, *, unfinished: Sequence[str]) -> None:
    """Write the report of a failed run, then close the run."""
    try:
        write_report(settings, run, unfinished=unfinished)
    except Exception:
        log.exception("report_not_written run_id=%s", run.run_id)
    close_run(settings, run, unfinished=unfinished)


def _checked_predictions(settings: Settings, run: Run, folder: RunFolder) -> "tuple[pd.DataFrame, set[str]]":
    """Return the checked predictions of all shards, and the hashes of images that were rejected at scoring."""
    import pandas as pd

    from scoring.inference.scorer import PREDICTION_SCHEMA
    from scoring.validation.batch import check_predictions
    from scoring.validation.docs import BatchDocs

    planned = folder.read_frame("plan.parquet")
    rule = models.load(settings, run.model_version).rule
    docs = BatchDocs(settings.report_url, run.batch_date, run.run_id)
    checked = [PREDICTION_SCHEMA.empty_table().to_pandas().assign(engine="").drop(columns="cdf")]
    rejected: set[str] = set()
    for shard in shards_of(len(planned), settings.shard_size):
        scored = folder.read_json(f"scored_{shard.first}.json")
        rejected.update(scored["rejected"])
        of_shard = planned.iloc[shard.first : shard.first + shard.count]
        predicted = folder.read_frame(f"predictions_{shard.first}.parquet")
        check_predictions(predicted, of_shard[~of_shard["image_sha256"].isin(scored["rejected"])], rule, docs)
        # The distribution, 101 numbers per joint, stays in the run folder.
        checked.append(predicted.assign(engine=scored["engine"]).drop(columns="cdf"))
    docs.write()
    return pd.concat(checked, ignore_index=True), rejected


def _with_content(quarantine: "pd.DataFrame", images: "pd.DataFrame") -> "pd.DataFrame":
    """Add the hash of a rejected image, so that the look-back does not judge the same bytes every night."""
    content = images[["row_key", "sha256"]].rename(columns={"sha256": "content_sha256"})
    return quarantine.merge(content, on="row_key", how="left")


def _resolve_quarantine(
    connection: "Connection", run: Run, folder: RunFolder, accepted: "dict[str, pd.DataFrame]"
) -> None:
    """Mark quarantined rows as resolved that were accepted, corrected or removed since."""
    from scoring.warehouse.publish import quarantine

    keys = {key for frame in accepted.values() for key in frame["row_key"]}
    judged = {
        file for dataset in reconciliation.DATASETS for file in folder.read_frame(f"{dataset}.parquet")["source_file"]
    }
    quarantine.resolve_quarantine(connection, run.run_id, keys, judged | set(folder.read_json("files.json")))
    present = folder.read_json("present_images.json")
    batches = {date.fromisoformat(source_file.split("/", 1)[0]) for source_file in present} | {run.batch_date}
    quarantine.resolve_removed(connection, run.run_id, sorted(batches), present)


def _present(column: "pd.Series[Any]") -> set[str]:
    return set(column.dropna())
