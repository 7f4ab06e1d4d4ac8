"""The steps of a rescoring, in the order in which they run: the history under the model that is promoted.

The views go on showing the former champion until the last step, in which everything is complete and one row switches
them. Each shard publishes its own predictions and the Rau scores made of them, so a rescoring that was killed goes on
where it stopped: the next one plans only what has no prediction yet. Nights may run meanwhile; they are scored with the
former champion, and what they bring is scored here before the switch.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scoring.errors import BadInput, BooksDoNotBalance, InvalidRequest, StorageUnavailable
from scoring.pipeline import correlation, course, installation, models
from scoring.pipeline.nightly import Progress, Run, storage_went
from scoring.pipeline.staged import Shard, Staging, explained
from scoring.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from scoring.warehouse.predictions import PredictionRun

log = logging.getLogger(__name__)

JOB = "rescoring"

# Airflow maps a task over at most 1024 shards ([core] max_map_length); a long history gets larger ones.
MAX_SHARDS = 1000

_NAMED = 5


def open_run(settings: Settings, *, trigger: str, triggered_by: str) -> Run:
    """Begin a rescoring with the promoted model.

    Raises:
        InvalidRequest: No model was ever promoted.
        WarehouseNotMigrated: The warehouse does not have this version's tables.
        ModelRefused: The model's files are missing or were changed.
    """
    from scoring.warehouse import migrate, rescoring, runs
    from scoring.warehouse import models as known_models
    from scoring.warehouse.engine import transaction

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    promoted = known_models.promoted(engine)
    if promoted is None:
        raise InvalidRequest(
            "no model is promoted: the first night promotes the shipped one, `scoring promote` another"
        )
    model = models.load(settings, promoted["version"])
    known_models.register_model(engine, model.manifest)
    with transaction(engine) as connection:
        night = rescoring.newest_night(connection) or datetime.now(UTC).date()
    run = Run(str(uuid4()), night, model.version, model.preprocessing_version)
    runs.open_run(
        engine,
        run.run_id,
        night,
        trigger=trigger,
        triggered_by=triggered_by,
        code_revision=settings.revision,
        model_version=model.version,
        job=JOB,
    )
    log.info("rescoring_opened run_id=%s model=%s", run.run_id, run.model_version)
    return run


@explained
def plan(settings: Settings, run: Run) -> list[Shard]:
    """Find every accepted image without a prediction of the promoted model, and cut them into shards.

    Returns:
        The shards; empty when nothing waits.
    """
    from scoring.warehouse import rescoring
    from scoring.warehouse.engine import transaction

    with transaction(installation.warehouse(settings)) as connection:
        n_images = rescoring.n_waiting(connection, run.model_version)
        shard_size = max(settings.shard_size, -(-n_images // MAX_SHARDS))
        shards = _stage_shards(settings, run, connection, first=0, shard_size=shard_size)
    staging = Staging(settings, run.run_id)
    staging.write_json("plan.json", [asdict(shard) for shard in shards])
    staging.write_json("late.json", [])
    staging.forget_failed_shards()
    log.info("rescoring_planned run_id=%s images=%d shards=%d", run.run_id, n_images, len(shards))
    return shards


@explained
def score(
    settings: Settings, run: Run, shard: Shard, *, accept_missing: bool = False, progress: Progress | None = None
) -> dict[str, int]:
    """Score one shard, check it, and publish its predictions and the Rau scores of its visits in one transaction.

    An image whose file is no longer what was accepted is written down with the reason.

    Args:
        settings: The installation.
        run: The rescoring.
        shard: The shard.
        accept_missing: A shard of which many files are gone is no reason to doubt the storage.
        progress: Called with the number of images done since the last call.

    Returns:
        planned, scored, already_scored and refused images.

    Raises:
        ModelRefused: The model's files were changed, or a prediction is missing or impossible.
        StorageUnavailable: The storage failed; the shard can be tried again.
    """
    from scoring.inference.engines import choose_engine
    from scoring.inference.scorer import score_images
    from scoring.validation.night import check_predictions
    from scoring.warehouse import rescoring, runs
    from scoring.warehouse.engine import transaction

    staging = Staging(settings, run.run_id)
    planned = staging.read_frame(f"planned_{shard.first}.parquet")
    model = models.load(settings, run.model_version)
    engine = choose_engine(settings.engine, model, settings.batch_size)
    result = score_images(
        planned[["image_sha256", "sop_iuid", "joint", "uri"]].itertuples(index=False, name=None),
        engine,
        staging.path(f"predictions_{shard.first}.parquet"),
        rule=model.rule,
        batch_size=settings.batch_size,
        on_scored=progress,
    )
    refused = {image.image_sha256: image.reason for image in result.refused}
    if storage_went(settings, len(refused), len(planned)) and not accept_missing:
        raise StorageUnavailable(
            f"{len(refused)} of {len(planned)} images of the history are gone or changed, such as "
            f"{result.refused[0].uri}: is the landing zone still mounted? If they are gone for good, rescore with "
            "--accept-missing (in Airflow the parameter accept_missing)."
        )
    predicted = staging.read_frame(f"predictions_{shard.first}.parquet")
    check_predictions(predicted, planned[~planned["image_sha256"].isin(refused)], model.rule)
    source = _source(settings, run)
    with transaction(installation.warehouse(settings)) as connection:
        runs.publish_lock(connection)
        counts = rescoring.publish_shard(
            connection, source, planned, predicted.assign(engine=f"{engine.name}/{engine.precision}"), refused
        )
        _publish_rau(connection, source, list(planned["sop_iuid"]))
    staging.write_json(f"published_{shard.first}.json", asdict(counts))
    log.info("shard_published run_id=%s first=%d counts=%s", run.run_id, shard.first, counts)
    return asdict(counts)


@explained
def analyse(settings: Settings, run: Run, progress: Callable[[int, int], None] = lambda *_: None) -> int:
    """Compute the correlations for every date for which the former champion's are kept, oldest first.

    Returns:
        Number of dates.
    """
    from scoring.warehouse import rescoring
    from scoring.warehouse.engine import transaction

    with transaction(installation.warehouse(settings)) as connection:
        dates = rescoring.dates_without_correlation(connection, run.model_version)
    for done, as_of in enumerate(dates):
        progress(done, len(dates))
        correlation.refresh(settings, as_of, run.model_version, run.run_id)
    return len(dates)


@explained
def activate(
    settings: Settings, run: Run, *, accept_missing: bool = False, progress: Progress | None = None
) -> dict[str, int]:
    """Score what has landed meanwhile; then, when nothing waits, make the model the champion and write the bridge.

    The last look and the switch are one transaction under the publishing lock: no night can come between them.

    Args:
        settings: The installation.
        run: The rescoring.
        accept_missing: Go on without the images whose files are no longer what was accepted.
        progress: Called with the number of images done since the last call.

    Returns:
        late: images that were scored here; missing: images that the model goes without.

    Raises:
        BadInput: Files of accepted images are gone or were changed, and nobody said to go on without them.
        InvalidRequest: Another model has been promoted since.
    """
    from scoring.warehouse import models as known_models
    from scoring.warehouse import rescoring, runs
    from scoring.warehouse.engine import transaction

    n_late = 0
    while True:
        with transaction(installation.warehouse(settings)) as connection:
            runs.publish_lock(connection)
            late = _stage_late(settings, run, connection)
            if not late:
                missing = rescoring.n_waiting(connection, run.model_version)
                if missing and not accept_missing:
                    raise BadInput(_missing_message(connection, run, missing))
                _complete(settings, run, connection)
                known_models.activate(connection, run.model_version, run_id=run.run_id, n_missing=missing)
                break
        for shard in late:
            score(settings, run, shard, accept_missing=accept_missing, progress=progress)
            _note_late(settings, run, shard)
            n_late += shard.count
    log.info("activated run_id=%s model=%s late=%d missing=%d", run.run_id, run.model_version, n_late, missing)
    return {"late": n_late, "missing": missing}


def close_run(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> dict[str, int]:
    """The gate: write the books, planned = scored + already scored + refused, and append the result.

    Args:
        settings: The installation.
        run: The rescoring.
        unfinished: Steps that left no result.

    Returns:
        planned, scored, already_scored and refused images.

    Raises:
        BooksDoNotBalance: An image is unaccounted for, the views do not show the model, or a step did not finish; the
            run is recorded as failed.
    """
    from scoring.warehouse import runs
    from scoring.warehouse.engine import transaction

    engine = installation.warehouse(settings)
    books = _books(settings, run)
    with transaction(engine) as connection:
        runs.record_book(connection, run.run_id, "images", [(outcome, n, "") for outcome, n in books.items()])
    found = _complaints(settings, run, books, unfinished)
    if found:
        message = f"the history is not rescored with {run.model_version}: {'; '.join(found)}"
        runs.close_run(engine, run.run_id, "failed", message)
        raise BooksDoNotBalance(message)
    runs.close_run(engine, run.run_id, "succeeded")
    return books


def rescore(
    settings: Settings,
    *,
    accept_missing: bool,
    triggered_by: str,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> dict[str, Any]:
    """All steps of a rescoring in this process: what the DAG does, for a shell.

    Args:
        settings: The installation.
        accept_missing: Go on without the images whose files are no longer what was accepted.
        triggered_by: Who asks.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Returns:
        run_id, the model, its books, and how many images came late or are missing.
    """
    run = open_run(settings, trigger="cli", triggered_by=triggered_by)
    try:
        shards = plan(settings, run)
        n_images, n_done = sum(shard.count for shard in shards), 0

        def advance(n: int) -> None:
            nonlocal n_done
            n_done += n
            progress("rescoring joints", n_done, max(n_done, n_images))

        for shard in shards:
            score(settings, run, shard, accept_missing=accept_missing, progress=advance)
        n_dates = analyse(settings, run, lambda done, total: progress("correlating", done, total))
        activated = activate(settings, run, accept_missing=accept_missing, progress=advance)
    except Exception:
        # The result says what went wrong; the error itself goes on to the caller.
        _close_failed(settings, run)
        raise
    books = close_run(settings, run)
    return {"run_id": run.run_id, "model": run.model_version, **books, **activated, "dates_correlated": n_dates}


def _stage_shards(
    settings: Settings,
    run: Run,
    connection: "Connection",
    *,
    first: int,
    shard_size: int,
    not_refused_by: str | None = None,
) -> list[Shard]:
    """Leave what waits in the staging folder, one file a shard, so that no task reads the plan of all."""
    from scoring.warehouse import rescoring

    staging, shards = Staging(settings, run.run_id), []
    for frame in rescoring.waiting_images(
        connection, run.model_version, rows_a_frame=shard_size, not_refused_by=not_refused_by
    ):
        shards.append(Shard(first, len(frame)))
        staging.write_frame(f"planned_{first}.parquet", frame)
        first += len(frame)
    return shards


def _stage_late(settings: Settings, run: Run, connection: "Connection") -> list[Shard]:
    """Shards of what has landed since the plan, numbered on from those that are there."""
    first = sum(shard.count for shard in _shards(settings, run))
    return _stage_shards(
        settings, run, connection, first=first, shard_size=settings.shard_size, not_refused_by=run.run_id
    )


def _note_late(settings: Settings, run: Run, shard: Shard) -> None:
    staging = Staging(settings, run.run_id)
    staging.write_json("late.json", [*staging.read_json("late.json"), asdict(shard)])


def _shards(settings: Settings, run: Run) -> list[Shard]:
    """The run's shards, those of late images behind the planned ones; none before `plan` has run."""
    staging = Staging(settings, run.run_id)
    if not staging.has("plan.json"):
        return []
    return [Shard(**shard) for name in ("plan.json", "late.json") for shard in staging.read_json(name)]


def _publish_rau(connection: "Connection", source: "PredictionRun", films: Sequence[str]) -> None:
    """Rau scores of these films and their visits, each of the newest night of the joints behind it."""
    import pandas as pd

    from scoring.analysis.rau import rau_predictions
    from scoring.warehouse import predictions as store

    joints = store.film_predictions(connection, source.model_version, source.preprocessing_version, films)
    of_film_and_visit = pd.concat([joints, joints.assign(sop_iuid="")])
    keys = ["patient_id", "visit_date", "sop_iuid"]
    night = of_film_and_visit.groupby(keys)["batch_date"].max().rename("night").reset_index()
    store.publish_rau(connection, source, rau_predictions(joints).merge(night, on=keys, validate="one_to_one"))


def _complete(settings: Settings, run: Run, connection: "Connection") -> None:
    """What registry and nights have changed since the shards were published, and the newest date in any case."""
    from scoring.warehouse import analytics, rescoring

    films = rescoring.films_without_rau(connection, run.model_version)
    if films:
        _publish_rau(connection, _source(settings, run), films)
    newest = analytics.newest_as_of(connection, run.model_version)
    dates = {*rescoring.dates_without_correlation(connection, run.model_version), *([newest] if newest else [])}
    for as_of in sorted(dates):
        correlation.publish_as_of(connection, as_of, run.model_version, run.run_id)
    if newest:
        course.publish_as_of(connection, newest, run.model_version, run.run_id)


def _source(settings: Settings, run: Run) -> "PredictionRun":
    from scoring.warehouse.predictions import PredictionRun

    return PredictionRun(run.run_id, run.batch_date, run.model_version, run.preprocessing_version, settings.revision)


def _missing_message(connection: "Connection", run: Run, n_missing: int) -> str:
    from scoring.warehouse import rescoring

    named = "; ".join(f"{uri}: {reason}" for uri, reason in rescoring.refusals(connection, run.run_id, _NAMED))
    more = f"; and {n_missing - _NAMED} more" if n_missing > _NAMED else ""
    return (
        f"{n_missing} accepted images cannot be scored with {run.model_version} ({named}{more}). The views still show "
        "the former champion. analyst.rescoring_refusal has them all; restore the files and rescore again, which "
        "scores only these, or go on without them: --accept-missing (in Airflow the parameter accept_missing)."
    )


def _books(settings: Settings, run: Run) -> dict[str, int]:
    """What became of the images: a shard that published nothing leaves its images planned and unaccounted for."""
    staging = Staging(settings, run.run_id)
    books = dict.fromkeys(("planned", "scored", "already_scored", "refused"), 0)
    for shard in _shards(settings, run):
        name = f"published_{shard.first}.json"
        published = staging.read_json(name) if staging.has(name) else {"planned": shard.count}
        for outcome, n in published.items():
            books[outcome] += n
    return books


def _complaints(settings: Settings, run: Run, books: dict[str, int], unfinished: Sequence[str]) -> list[str]:
    from scoring.warehouse import models as known_models

    failures = Staging(settings, run.run_id).failures()
    if failures:
        return [f"{step} failed: {message}" for step, message in failures.items()]
    found = [f"step {name} did not finish" for name in unfinished]
    accounted = books["scored"] + books["already_scored"] + books["refused"]
    if books["planned"] != accounted:
        found.append(f"{books['planned']} images planned but {accounted} accounted for")
    active = known_models.champion(installation.warehouse(settings))
    if active is None or active["version"] != run.model_version:
        found.append(f"the views show {active['version'] if active else 'no model'}")
    return found


def _close_failed(settings: Settings, run: Run) -> None:
    try:
        close_run(settings, run, unfinished=["the one whose error follows"])
    except BooksDoNotBalance as error:
        log.info("rescoring_failed run_id=%s message=%s", run.run_id, error)
    except Exception:
        log.exception("the failed rescoring could not be closed run_id=%s", run.run_id)
