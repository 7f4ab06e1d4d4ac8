"""The steps of a rescoring, in order: score the history with the promoted model, then make that model the champion.

The views show the previous champion until the last step, which makes one row switch them. Each shard publishes its own
predictions and the Rau scores computed from them, so a rescoring that was killed resumes where it stopped: the next one
plans only images without a prediction. Nightly runs may take place meanwhile. They score with the previous champion,
and the images that they add are rescored here before the switch.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.errors import BadInput, InvalidRequest
from scoring.pipeline import analytics, models
from scoring.pipeline.reconciliation import step_discrepancies
from scoring.pipeline.run import Run, begin, failure_recorded, finish
from scoring.pipeline.run_folder import RunFolder, step
from scoring.pipeline.shards import Shard, score_shard, shard_progress
from scoring.progress import Progress, no_progress
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from scoring.warehouse.publish.predictions import PredictionRun

log = logging.getLogger(__name__)

JOB = "rescoring"

# Airflow maps a task over at most 1024 shards ([core] max_map_length); a long history gets larger shards.
MAX_SHARDS = 1000

_MAX_NAMED = 5


def open_run(settings: Settings, *, trigger: str, triggered_by: str) -> Run:
    """Open a rescoring with the promoted model.

    Raises:
        InvalidRequest: No model was ever promoted.
        WarehouseNotMigrated: The warehouse does not have the tables of this version.
        ModelRejected: A file of the model is missing or was changed.
    """
    from scoring.warehouse import migrate
    from scoring.warehouse.publish import promotions
    from scoring.warehouse.queries import models as known_models
    from scoring.warehouse.queries import rescoring as history

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    with connect.transaction(settings) as connection:
        promoted = known_models.promoted(connection)
        newest = history.newest_batch(connection) or datetime.now(UTC).date()
    if promoted is None:
        raise InvalidRequest(
            "No model is promoted. The first nightly run promotes the shipped model; `scoring promote` promotes "
            "another."
        )
    model = models.load(settings, promoted["model_version"])
    promotions.register_model(engine, model.manifest)
    return begin(settings, JOB, newest, model, trigger=trigger, triggered_by=triggered_by)


@step
def plan(settings: Settings, run: Run) -> list[Shard]:
    """Find every accepted image without a prediction of the promoted model, and divide these images into shards.

    Returns:
        The shards; none if every image has a prediction.
    """
    from scoring.warehouse.queries import rescoring as history

    with connect.transaction(settings) as connection:
        n_images = history.n_waiting(connection, run.model_version)
        shard_size = max(settings.shard_size, -(-n_images // MAX_SHARDS))
        shards = _stage_shards(settings, run, connection, first=0, shard_size=shard_size)
    folder = RunFolder(settings, run.run_id)
    folder.write_json("plan.json", [asdict(shard) for shard in shards])
    folder.write_json("late.json", [])
    folder.clear_shard_failures()
    log.info("rescoring_planned run_id=%s images=%d shards=%d", run.run_id, n_images, len(shards))
    return shards


@step
def score(
    settings: Settings, run: Run, shard: Shard, *, accept_missing: bool = False, progress: Progress = no_progress
) -> dict[str, int]:
    """Score and check one shard; publish its predictions and the Rau scores of its visits in one transaction.

    An image whose file differs from the accepted one is recorded as rejected, with the reason.

    Args:
        settings: Settings of the installation.
        run: The rescoring.
        shard: The shard.
        accept_missing: Publish the shard even if so many files are missing that the storage must be at fault.
        progress: Called after each batch of images.

    Returns:
        Numbers of planned, scored, already_scored and rejected images.

    Raises:
        ModelRejected: A file of the model was changed, or a prediction is missing or impossible.
        StorageUnavailable: The storage failed; the shard can be tried again.
    """
    from scoring.validation.batch import check_predictions
    from scoring.warehouse.publish import rescoring, runs

    folder = RunFolder(settings, run.run_id)
    planned = folder.read_frame(f"planned_{shard.first}.parquet")
    out_path = folder.path(f"predictions_{shard.first}.parquet")
    scored = score_shard(
        settings, run.model_version, planned, out_path, accept_missing=accept_missing, progress=progress
    )
    rejected = {image.image_sha256: image.reason for image in scored.result.rejected}
    predicted = folder.read_frame(f"predictions_{shard.first}.parquet")
    check_predictions(predicted, planned[~planned["image_sha256"].isin(rejected)], scored.rule)
    source = _source(settings, run)
    with connect.transaction(settings) as connection:
        runs.publish_lock(connection)
        counts = rescoring.publish_shard(connection, source, planned, predicted.assign(engine=scored.engine), rejected)
        _publish_rau(connection, source, list(planned["sop_iuid"]))
    folder.write_json(f"published_{shard.first}.json", asdict(counts))
    log.info("shard_published run_id=%s first=%d counts=%s", run.run_id, shard.first, counts)
    return asdict(counts)


@step
def analyse(settings: Settings, run: Run, progress: Progress = no_progress) -> int:
    """Compute the correlations for every date that has correlations of the previous champion, oldest first.

    Returns:
        Number of dates.
    """
    from scoring.warehouse.queries import rescoring as history

    with connect.transaction(settings) as connection:
        dates = history.dates_without_correlation(connection, run.model_version)
    for done, as_of in enumerate(dates):
        progress("correlating", done, len(dates))
        analytics.refresh(settings, as_of, run.model_version, run.run_id, forecasts=False)
    return len(dates)


@step
def activate(
    settings: Settings, run: Run, *, accept_missing: bool = False, progress: Progress = no_progress
) -> dict[str, int]:
    """Score the images that arrived meanwhile; once none waits, make the model the champion and compare the two models.

    The last check and the switch are one transaction under the publishing lock, so no nightly run can publish between
    them.

    Args:
        settings: Settings of the installation.
        run: The rescoring.
        accept_missing: Activate the model although the files of some images differ from the accepted ones.
        progress: Called after each batch of images.

    Returns:
        late: Number of images scored here; missing: number of images without a prediction of the model.

    Raises:
        BadInput: Files of accepted images are missing or were changed, and `accept_missing` is False.
        InvalidRequest: Another model has been promoted since.
    """
    from scoring.warehouse.publish import promotions, runs
    from scoring.warehouse.queries import rescoring as history

    n_late = 0
    while True:
        with connect.transaction(settings) as connection:
            runs.publish_lock(connection)
            late = _stage_late(settings, run, connection)
            if not late:
                missing = history.n_waiting(connection, run.model_version)
                if missing and not accept_missing:
                    raise BadInput(_missing_message(connection, run, missing))
                _complete(settings, run, connection)
                promotions.activate(connection, run.model_version, run_id=run.run_id, n_missing=missing)
                break
        for shard in late:
            score(settings, run, shard, accept_missing=accept_missing, progress=progress)
            _record_late(settings, run, shard)
            n_late += shard.count
    log.info("activated run_id=%s model=%s late=%d missing=%d", run.run_id, run.model_version, n_late, missing)
    return {"late": n_late, "missing": missing}


def close_run(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> dict[str, int]:
    """Reconcile the images (planned = scored + already scored + rejected) and append the result of the run.

    Returns:
        Numbers of planned, scored, already_scored and rejected images.

    Raises:
        ReconciliationFailed: An image is not accounted for, the views do not show the model, or a step did not finish.
            The run is recorded as failed.
    """
    from scoring.warehouse.publish import runs

    counts = _counts(settings, run)
    with connect.transaction(settings) as connection:
        runs.record_counts(connection, run.run_id, "images", [(outcome, n, "") for outcome, n in counts.items()])
    discrepancies = _discrepancies(settings, run, counts, unfinished)
    finish(settings, run, discrepancies, summary=f"The rescoring with {run.model_version} failed")
    return counts


def rescore(
    settings: Settings, *, accept_missing: bool, triggered_by: str, progress: Progress = no_progress
) -> dict[str, Any]:
    """Run all steps of a rescoring in this process, as the DAG does.

    Args:
        settings: Settings of the installation.
        accept_missing: Activate the model although the files of some images differ from the accepted ones.
        triggered_by: The user.
        progress: Called during long steps.

    Returns:
        run_id, the model, the counts of images, and the numbers of late and missing images and of dates correlated.
    """
    run = open_run(settings, trigger="cli", triggered_by=triggered_by)
    with failure_recorded(run, partial(close_run, settings, run)):
        shards = plan(settings, run)
        n_images = sum(shard.count for shard in shards)
        for shard in shards:
            score(
                settings,
                run,
                shard,
                accept_missing=accept_missing,
                progress=shard_progress(progress, shard, n_images),
            )
        n_dates = analyse(settings, run, progress)
        activated = activate(settings, run, accept_missing=accept_missing, progress=progress)
    counts = close_run(settings, run)
    return {"run_id": run.run_id, "model": run.model_version, **counts, **activated, "dates_correlated": n_dates}


def _stage_shards(
    settings: Settings,
    run: Run,
    connection: "Connection",
    *,
    first: int,
    shard_size: int,
    not_rejected_by: str | None = None,
) -> list[Shard]:
    """Write the waiting images to the run folder, one file per shard, so that no task reads the whole plan."""
    from scoring.warehouse.queries import rescoring as history

    folder, shards = RunFolder(settings, run.run_id), []
    for frame in history.waiting_images(
        connection, run.model_version, rows_per_frame=shard_size, not_rejected_by=not_rejected_by
    ):
        shards.append(Shard(first, len(frame)))
        folder.write_frame(f"planned_{first}.parquet", frame)
        first += len(frame)
    return shards


def _stage_late(settings: Settings, run: Run, connection: "Connection") -> list[Shard]:
    """Stage the images that arrived since the plan; their shards continue the numbers of the planned ones."""
    first = sum(shard.count for shard in _shards(settings, run))
    return _stage_shards(
        settings, run, connection, first=first, shard_size=settings.shard_size, not_rejected_by=run.run_id
    )


def _record_late(settings: Settings, run: Run, shard: Shard) -> None:
    folder = RunFolder(settings, run.run_id)
    folder.write_json("late.json", [*folder.read_json("late.json"), asdict(shard)])


def _shards(settings: Settings, run: Run) -> list[Shard]:
    """Return the planned shards, then the late ones; none before `plan` has run."""
    folder = RunFolder(settings, run.run_id)
    if not folder.has("plan.json"):
        return []
    return [Shard(**shard) for name in ("plan.json", "late.json") for shard in folder.read_json(name)]


def _publish_rau(connection: "Connection", source: "PredictionRun", radiographs: Sequence[str]) -> None:
    """Publish the Rau scores of these radiographs and their visits, each with the newest batch date of its joints."""
    import pandas as pd

    from scoring.analysis.rau import rau_predictions
    from scoring.warehouse.publish import predictions
    from scoring.warehouse.queries import analysis

    joints = analysis.radiograph_predictions(
        connection, source.model_version, source.preprocessing_version, radiographs
    )
    by_radiograph_and_visit = pd.concat([joints, joints.assign(sop_iuid="")])
    keys = ["patient_id", "visit_date", "sop_iuid"]
    newest = by_radiograph_and_visit.groupby(keys)["batch_date"].max().reset_index()
    predictions.publish_rau(connection, source, rau_predictions(joints).merge(newest, on=keys, validate="one_to_one"))


def _complete(settings: Settings, run: Run, connection: "Connection") -> None:
    """Recompute what changed since the shards were published, and always the analytics of the newest date."""
    from scoring.warehouse.queries import analysis
    from scoring.warehouse.queries import rescoring as history

    radiographs = history.radiographs_without_rau(connection, run.model_version)
    if radiographs:
        _publish_rau(connection, _source(settings, run), radiographs)
    newest = analysis.newest_as_of(connection, run.model_version)
    dates = {*history.dates_without_correlation(connection, run.model_version), *([newest] if newest else [])}
    for as_of in sorted(dates):
        analytics.publish_as_of(connection, as_of, run.model_version, run.run_id, forecasts=as_of == newest)


def _source(settings: Settings, run: Run) -> "PredictionRun":
    from scoring.warehouse.publish.predictions import PredictionRun

    return PredictionRun(run.run_id, run.batch_date, run.model_version, run.preprocessing_version, settings.revision)


def _missing_message(connection: "Connection", run: Run, n_missing: int) -> str:
    from scoring.warehouse.queries import rescoring as history

    named = "; ".join(f"{uri}: {reason}" for uri, reason in history.rejections(connection, run.run_id, _MAX_NAMED))
    more = f"; and {n_missing - _MAX_NAMED} more" if n_missing > _MAX_NAMED else ""
    return (
        f"{n_missing} accepted images cannot be scored with {run.model_version} ({named}{more}). The views still show "
        "the previous champion. analyst.rescoring_rejection lists these images. Restore their files and rescore again, "
        "which scores only these images. To activate the model without them, use --accept-missing (in Airflow: the "
        "parameter accept_missing)."
    )


def _counts(settings: Settings, run: Run) -> dict[str, int]:
    """Count images by outcome. The images of a shard that published nothing count as planned only."""
    folder = RunFolder(settings, run.run_id)
    counts = dict.fromkeys(("planned", "scored", "already_scored", "rejected"), 0)
    for shard in _shards(settings, run):
        name = f"published_{shard.first}.json"
        published = folder.read_json(name) if folder.has(name) else {"planned": shard.count}
        for outcome, n in published.items():
            counts[outcome] += n
    return counts


def _discrepancies(settings: Settings, run: Run, counts: dict[str, int], unfinished: Sequence[str]) -> list[str]:
    from scoring.warehouse.queries import models as known_models

    failures = RunFolder(settings, run.run_id).failures()
    found = step_discrepancies(failures, unfinished)
    if failures:
        return found
    accounted_for = counts["scored"] + counts["already_scored"] + counts["rejected"]
    if counts["planned"] != accounted_for:
        found.append(f"{counts['planned']} images planned but {accounted_for} accounted for")
    with connect.transaction(settings) as connection:
        champion = known_models.champion(connection)
    if champion is None or champion["model_version"] != run.model_version:
        found.append(f"the views show {champion['model_version'] if champion else 'no model'}")
    return found
