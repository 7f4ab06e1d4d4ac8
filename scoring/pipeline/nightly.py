"""The steps of the nightly job, in the order in which they run.

Each step reads what the former one left in the run's staging folder or in the warehouse, and returns counts that fit in
an XCom. Every step can be repeated: staging files are replaced whole, and the publishing steps write in one transaction
that a second run finds unchanged. Heavy packages are imported inside the steps, because DAG files and the command line
import this module.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scoring.errors import BooksDoNotBalance, InvalidRequest, StorageUnavailable
from scoring.pipeline import balance, correlation, course, installation, models, page
from scoring.pipeline.staged import Shard, Staging, explained
from scoring.settings import Settings, sql_dir

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Connection, Engine

log = logging.getLogger(__name__)

Progress = Callable[[int], None]
"""Called with the number of images done since the last call."""

# Of fewer images even all may have been taken away.
_WHOLE_STORAGE = 20


@dataclass(frozen=True)
class Run:
    """One attempt at one night, as the steps hand it on."""

    run_id: str
    batch_date: date
    model_version: str
    preprocessing_version: str

    def to_dict(self) -> dict[str, str]:
        """The run as an XCom."""
        return {**asdict(self), "batch_date": self.batch_date.isoformat()}

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> "Run":
        """The run of an XCom."""
        return cls(**{**values, "batch_date": date.fromisoformat(values["batch_date"])})  # type: ignore[arg-type]


def require_run(values: dict[str, str] | None) -> Run:
    """The run of an XCom, or a clear error when `open_run` left none.

    Raises:
        InvalidRequest: If the run was never opened.
    """
    if values is None:
        raise InvalidRequest("the run was never opened; the log of open_run says why")
    return Run.from_dict(values)


def storage_went(settings: Settings, n_refused: int, n_planned: int) -> bool:
    """Whether so many images of a shard are gone or changed that it is the storage: a few files may be taken away."""
    return n_planned >= _WHOLE_STORAGE and n_refused > settings.max_bad_share * n_planned


def shards_of(n_images: int, shard_size: int) -> list[Shard]:
    """Cut a plan of images into stretches of at most `shard_size`."""
    return [Shard(first, min(shard_size, n_images - first)) for first in range(0, n_images, shard_size)]


def open_run(settings: Settings, batch_date: date, *, trigger: str, triggered_by: str) -> Run:
    """Begin a run: check the warehouse and the champion's files before anything is read, and append the run.

    A warehouse without any champion gets the model that ships with the package.

    Raises:
        WarehouseNotMigrated: The warehouse does not have this version's tables.
        ModelRefused: The champion's files are missing or were changed.
    """
    from scoring.warehouse import migrate, runs

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    model = models.champion(settings)
    run = Run(str(uuid4()), batch_date, model.version, model.preprocessing_version)
    runs.open_run(
        engine,
        run.run_id,
        batch_date,
        trigger=trigger,
        triggered_by=triggered_by,
        code_revision=settings.revision,
        model_version=model.version,
    )
    log.info("run_opened run_id=%s batch_date=%s model=%s", run.run_id, batch_date, model.version)
    return run


@explained
def land(settings: Settings, run: Run, progress: Progress | None = None) -> dict[str, int]:
    """Find the night's files and what came late to earlier folders, read each once, and stage them.

    Returns:
        Rows that landed, by dataset.

    Raises:
        LandingNotReady: The night's folder is missing or not closed; names the folder.
        BadInput: A table of the night cannot be read at all.
    """
    from scoring.landing.discovery import discover
    from scoring.landing.staging import stage_night
    from scoring.warehouse import images, nights, registry

    engine = installation.warehouse(settings)
    staging = Staging(settings, run.run_id)
    files = discover(
        settings.landing_url,
        run.batch_date,
        lookback_nights=settings.lookback_nights,
        success_marker=settings.success_marker,
        with_datasets=settings.registry_source == "files",
        # Late is what came after its night had run. A night that has not run is not late: it waits for its own run, so
        # that a backfill gives what that night would have given.
        late_folders=nights.succeeded_nights(engine),
    )
    staged = stage_night(
        files,
        staging.url,
        image_pattern=settings.image_pattern,
        already_accepted=lambda keys: images.settled_files(engine, keys),
        seen_files=registry.landed_files(engine, [file.source_file for file in files.datasets]),
        registry=_registry_by_sql(settings, run.batch_date),
        progress=progress,
    )
    staging.write_json("files.json", staged.file_sha256)
    staging.write_json("unusable.json", staged.unreadable_late_files)
    staging.write_json("present_images.json", [file.source_file for file in files.images])
    for source_file, reason in staged.unreadable_late_files.items():
        log.warning("late_file_unreadable run_id=%s file=%s reason=%s", run.run_id, source_file, reason)
    log.info("landed run_id=%s counts=%s images_known=%d", run.run_id, staged.counts, staged.images_known)
    return staged.counts


@explained
def validate(settings: Settings, run: Run) -> dict[str, int]:
    """Judge what landed by the suites of `expectations/`: accepted rows, and quarantined rows with a reason.

    Returns:
        Rows set aside, by dataset.

    Raises:
        BadInput: The night as a whole cannot be used; the message lists everything of that kind. Nothing is published.
    """
    from scoring.validation.docs import NightDocs
    from scoring.validation.night import Known, Staged, Thresholds, validate_night
    from scoring.warehouse import images, registry

    engine = installation.warehouse(settings)
    staging = Staging(settings, run.run_id)
    staged = Staged(**{dataset: staging.read_frame(f"{dataset}.parquet") for dataset in balance.DATASETS})
    films = sorted(_present(staged.consultations["sop_iuid"]) | _present(staged.images["sop_iuid"]))
    known = Known(
        films=registry.known_films(engine, films),
        images=images.known_images(engine, films, sorted(_present(staged.images["sha256"]))),
    )
    docs = NightDocs(settings.report_url, run.batch_date, run.run_id)
    try:
        verdict = validate_night(staged, known, Thresholds.of(settings), run.batch_date, docs)
    finally:
        docs.write()
    for each in verdict.all:
        staging.write_frame(f"accepted_{each.dataset}.parquet", each.accepted)
    staging.write_frame("quarantine.parquet", _with_content(verdict.quarantine, staged.images))
    staging.write_json(
        "verdict.json", {each.dataset: {"landed": each.n_rows, "quarantined": each.counts} for each in verdict.all}
    )
    set_aside = {each.dataset: each.n_rows - len(each.accepted) for each in verdict.all}
    log.info("validated run_id=%s set_aside=%s", run.run_id, set_aside)
    return set_aside


@explained
def publish_registry(settings: Settings, run: Run) -> dict[str, int]:
    """Write accepted registry records, the quarantine and the tables' books, in one transaction.

    Returns:
        New and updated rows over the three tables.
    """
    from scoring.warehouse import registry, runs
    from scoring.warehouse.engine import transaction

    staging = Staging(settings, run.run_id)
    verdict = staging.read_json("verdict.json")
    accepted = {dataset: staging.read_frame(f"accepted_{dataset}.parquet") for dataset in balance.DATASETS}
    with transaction(installation.warehouse(settings)) as connection:
        runs.publish_lock(connection)
        written = registry.publish_registry(
            connection,
            run.run_id,
            accepted["consultations"],
            accepted["readings"],
            accepted["disease_activity"],
            staging.read_frame("readings.parquet")[["id_x", "joint", "folder_date"]],
        )
        registry.publish_quarantine(connection, run.run_id, staging.read_frame("quarantine.parquet"))
        _close_quarantine(connection, run, staging, accepted)
        registry.publish_landed_files(connection, run.run_id, staging.read_json("files.json"))
        for dataset, counts in written.items():
            runs.record_book(connection, run.run_id, dataset, balance.lines(verdict[dataset], asdict(counts)))
    new, updated = (sum(getattr(counts, name) for counts in written.values()) for name in ("new", "updated"))
    log.info("registry_published run_id=%s new=%d updated=%d", run.run_id, new, updated)
    return {"new": new, "updated": updated}


@explained
def plan(settings: Settings, run: Run) -> list[Shard]:
    """Decide which accepted images still need a prediction of the run's model, and cut them into shards.

    Returns:
        The shards; empty when every image is scored already.
    """
    from scoring.warehouse import images

    staging = Staging(settings, run.run_id)
    accepted = staging.read_frame("accepted_images.parquet")
    done = images.already_scored(
        installation.warehouse(settings), list(accepted["sha256"]), run.model_version, run.preprocessing_version
    )
    planned = accepted.loc[~accepted["sha256"].isin(done), ["sha256", "sop_iuid", "joint", "uri"]]
    staging.write_frame("plan.parquet", planned.rename(columns={"sha256": "image_sha256"}))
    staging.forget_failed_shards()
    shards = shards_of(len(planned), settings.shard_size)
    log.info("planned run_id=%s images=%d shards=%d", run.run_id, len(planned), len(shards))
    return shards


@explained
def score(settings: Settings, run: Run, shard: Shard, progress: Progress | None = None) -> int:
    """Score one shard of the plan into the staging folder.

    An image that was changed or taken away since it was validated is left to quarantine.

    Returns:
        Number of joints scored.

    Raises:
        ModelRefused: The model's files were changed.
        StorageUnavailable: The storage failed; the shard can be tried again.
    """
    from scoring.inference.engines import choose_engine
    from scoring.inference.scorer import score_images

    staging = Staging(settings, run.run_id)
    planned = staging.read_frame("plan.parquet").iloc[shard.first : shard.first + shard.count]
    model = models.load(settings, run.model_version)
    engine = choose_engine(settings.engine, model, settings.batch_size)
    result = score_images(
        planned.itertuples(index=False, name=None),
        engine,
        staging.path(f"predictions_{shard.first}.parquet"),
        rule=model.rule,
        batch_size=settings.batch_size,
        on_scored=progress,
    )
    if storage_went(settings, len(result.refused), len(planned)):
        raise StorageUnavailable(
            f"{len(result.refused)} of {len(planned)} images that were validated are gone or changed, such as "
            f"{result.refused[0].uri}: is the landing zone still mounted? (SCORING_MAX_BAD_SHARE allows "
            f"{settings.max_bad_share:.0%})"
        )
    for image in result.refused:
        log.warning("image_refused run_id=%s file=%s reason=%s", run.run_id, image.uri, image.reason)
    staging.write_json(
        f"scored_{shard.first}.json",
        {
            "engine": f"{engine.name}/{engine.precision}",
            "refused": [image.image_sha256 for image in result.refused],
        },
    )
    log.info("scored run_id=%s first=%d n=%d", run.run_id, shard.first, result.n_scored)
    return result.n_scored


@explained
def publish_predictions(settings: Settings, run: Run) -> dict[str, int]:
    """Check every prediction, then write images, predictions, Rau scores and the images' book in one transaction.

    Returns:
        scored, already_scored and missing images.

    Raises:
        ModelRefused: A prediction is missing or impossible; nothing is published.
    """
    from scoring.analysis.rau import rau_predictions
    from scoring.validation.quarantine import refused_at_scoring
    from scoring.warehouse import predictions as store
    from scoring.warehouse import registry, runs
    from scoring.warehouse.engine import transaction

    staging = Staging(settings, run.run_id)
    verdict = staging.read_json("verdict.json")["images"]
    predicted, refused = _checked_predictions(settings, run, staging)
    accepted = staging.read_frame("accepted_images.parquet")
    changed = accepted["sha256"].isin(refused)
    quarantined = _with_content(refused_at_scoring(accepted[changed]), accepted)
    accepted = accepted[~changed]
    staging.write_frame("published_images.parquet", accepted)
    consulted = staging.read_frame("accepted_consultations.parquet")
    films = sorted(_present(accepted["sop_iuid"]) | _present(consulted["sop_iuid"]))
    source = store.PredictionRun(
        run.run_id, run.batch_date, run.model_version, run.preprocessing_version, settings.revision
    )
    with transaction(installation.warehouse(settings)) as connection:
        runs.publish_lock(connection)
        counts = store.publish_predictions(connection, source, accepted, predicted)
        joints = store.film_predictions(connection, run.model_version, run.preprocessing_version, films)
        store.publish_rau(connection, source, rau_predictions(joints))
        registry.publish_quarantine(connection, run.run_id, quarantined)
        registry.resolve_quarantine(connection, run.run_id, accepted["row_key"], ())
        for rule, n in quarantined["rule"].value_counts().items():
            verdict["quarantined"][rule] = verdict["quarantined"].get(rule, 0) + int(n)
        outcomes = {"scored": counts.scored, "already_scored": counts.already_scored}
        runs.record_book(connection, run.run_id, "images", balance.lines(verdict, outcomes))
    log.info("predictions_published run_id=%s counts=%s refused=%d", run.run_id, counts, len(quarantined))
    return asdict(counts)


@explained
def analyse(settings: Settings, run: Run) -> int:
    """Refresh the correlation of damage with activity, and the forecasts, as of the night.

    Returns:
        Number of visits that could be correlated.
    """
    n_visits = correlation.refresh(settings, run.batch_date, run.model_version, run.run_id)
    course.refresh(settings, run.batch_date, run.model_version, run.run_id)
    return n_visits


@explained
def write_report(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> str:
    """Write the night's page, with the gate's verdict on what is known by now. Returns where it lies."""
    return page.write(settings, run.run_id, _complaints(settings, run, unfinished))


def close_run(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> dict[str, int]:
    """The gate: balance the books against the staged files and the warehouse, and append the result.

    Args:
        settings: The installation.
        run: The run.
        unfinished: Steps that left no result.

    Returns:
        Landed rows by dataset.

    Raises:
        BooksDoNotBalance: Anything is unaccounted for, or a step did not finish; the run is recorded as failed.
    """
    from scoring.warehouse import runs

    engine = installation.warehouse(settings)
    found = _complaints(settings, run, unfinished)
    if found:
        message = f"the night of {run.batch_date} is not closed: {'; '.join(found)}"
        runs.close_run(engine, run.run_id, "failed", message)
        raise BooksDoNotBalance(message)
    runs.close_run(engine, run.run_id, "succeeded")
    return {dataset: book.landed for dataset, book in _ledger(settings, run).items()}


def _complaints(settings: Settings, run: Run, unfinished: Sequence[str]) -> list[str]:
    """What keeps the night from being closed, counted anew from the staged files and the warehouse."""
    from scoring.warehouse import images

    staging = Staging(settings, run.run_id)
    staged = {
        dataset: staging.rows(f"{dataset}.parquet") for dataset in balance.DATASETS if staging.has(f"{dataset}.parquet")
    }
    unpredicted, waiting = 0, []
    if staging.has("published_images.parquet"):
        engine = installation.warehouse(settings)
        hashes = sorted(set(staging.read_frame("published_images.parquet")["sha256"]))
        scored = images.already_scored(engine, hashes, run.model_version, run.preprocessing_version)
        unpredicted = len(hashes) - len(scored)
        waiting = _waiting_for_another_champion(engine, run, hashes)
    return balance.complaints(_ledger(settings, run), staged, unpredicted, staging.failures(), unfinished) + waiting


def _waiting_for_another_champion(engine: "Engine", run: Run, hashes: Sequence[str]) -> list[str]:
    """The views show another model since this night began, and these images are not scored with that one."""
    from scoring.warehouse import images
    from scoring.warehouse import models as known_models

    active = known_models.champion(engine)
    if active is None or active["version"] == run.model_version:
        return []
    scored = images.already_scored(engine, hashes, active["version"], active["preprocessing_version"])
    n_waiting = len(hashes) - len(scored)
    if not n_waiting:
        return []
    message = (
        f"images: {n_waiting} wait for {active['version']}, which became the champion while the night was scored with "
        f"{run.model_version}; `scoring rescore` (the DAG rescoring) brings them over, then run the night again"
    )
    return [message]


def _ledger(settings: Settings, run: Run) -> dict[str, balance.Book]:
    from scoring.warehouse import runs

    counts = runs.counts_of(installation.warehouse(settings), run.run_id)
    return balance.books((count.dataset, count.outcome, count.n) for count in counts)


def _checked_predictions(settings: Settings, run: Run, staging: Staging) -> "tuple[pd.DataFrame, set[str]]":
    """All shards' predictions, checked, and the hashes of images that were refused at scoring."""
    import pandas as pd

    from scoring.inference.scorer import PREDICTION_SCHEMA
    from scoring.validation.docs import NightDocs
    from scoring.validation.night import check_predictions

    planned = staging.read_frame("plan.parquet")
    rule = models.load(settings, run.model_version).rule
    docs = NightDocs(settings.report_url, run.batch_date, run.run_id)
    checked = [PREDICTION_SCHEMA.empty_table().to_pandas().assign(engine="").drop(columns="cdf")]
    refused: set[str] = set()
    for shard in shards_of(len(planned), settings.shard_size):
        scored = staging.read_json(f"scored_{shard.first}.json")
        refused.update(scored["refused"])
        of_shard = planned.iloc[shard.first : shard.first + shard.count]
        predicted = staging.read_frame(f"predictions_{shard.first}.parquet")
        check_predictions(predicted, of_shard[~of_shard["image_sha256"].isin(scored["refused"])], rule, docs)
        # The distribution itself, 101 numbers a joint, stays in the staging folder.
        checked.append(predicted.assign(engine=scored["engine"]).drop(columns="cdf"))
    docs.write()
    return pd.concat(checked, ignore_index=True), refused


def _with_content(quarantine: "pd.DataFrame", images: "pd.DataFrame") -> "pd.DataFrame":
    """The content of a refused image beside it, so that the look-back does not judge the same bytes every night."""
    content = images[["row_key", "sha256"]].rename(columns={"sha256": "content_sha256"})
    return quarantine.merge(content, on="row_key", how="left")


def _close_quarantine(
    connection: "Connection", run: Run, staging: Staging, accepted: "dict[str, pd.DataFrame]"
) -> None:
    """Mark quarantined rows as resolved that were accepted, mended or taken away since."""
    from scoring.warehouse import registry

    keys = {key for frame in accepted.values() for key in frame["row_key"]}
    judged = {file for dataset in balance.DATASETS for file in staging.read_frame(f"{dataset}.parquet")["source_file"]}
    registry.resolve_quarantine(connection, run.run_id, keys, judged | set(staging.read_json("files.json")))
    present = staging.read_json("present_images.json")
    folders = {date.fromisoformat(source_file.split("/", 1)[0]) for source_file in present} | {run.batch_date}
    registry.resolve_gone(connection, run.run_id, sorted(folders), present)


def _registry_by_sql(settings: Settings, batch_date: date) -> "dict[str, pd.DataFrame] | None":
    """The night's two datasets from the registry's own database, if that is where they come from."""
    if settings.registry_source == "files":
        return None
    if settings.registry_sql_url is None:
        raise InvalidRequest("SCORING_REGISTRY_SOURCE=sql needs SCORING_REGISTRY_SQL_URL")
    from scoring.landing.registry_source import read_registry

    return read_registry(
        settings.registry_sql_url.get_secret_value(),
        # Corrections and readings that came late; what is known already is found unchanged.
        window_start=batch_date - timedelta(days=settings.lookback_nights),
        window_end=batch_date + timedelta(days=1),
        queries=sql_dir() / "extract",
    )


def _present(column: "pd.Series[Any]") -> set[str]:
    return set(column.dropna())


def run_night(
    settings: Settings,
    batch_date: date,
    *,
    triggered_by: str,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> dict[str, Any]:
    """All steps of one night in this process: what the DAG does, for a shell.

    A night that fails is recorded as failed and gets its page too.

    Args:
        settings: The installation.
        batch_date: The night.
        triggered_by: Who asks.
        progress: Called with what is being done, how much of it is done, and how much there is if that is known.

    Returns:
        run_id, what each step counted, and the page's URL.
    """
    run = open_run(settings, batch_date, trigger="cli", triggered_by=triggered_by)
    try:
        counts = {
            "run_id": run.run_id,
            "landed": land(settings, run, _counting(progress, "reading images", None)),
            "quarantined": validate(settings, run),
            "registry": publish_registry(settings, run),
            "images": _score_and_publish(settings, run, progress),
            "visits_correlated": analyse(settings, run),
            "report": write_report(settings, run),
        }
    except Exception:
        # The page and the result say what went wrong; the error itself goes on to the caller.
        _close_failed(settings, run)
        raise
    close_run(settings, run)
    return counts


def _score_and_publish(
    settings: Settings, run: Run, progress: Callable[[str, int, int | None], None]
) -> dict[str, int]:
    shards = plan(settings, run)
    advance = _counting(progress, "scoring joints", sum(shard.count for shard in shards))
    for shard in shards:
        score(settings, run, shard, advance)
    return publish_predictions(settings, run)


def _counting(progress: Callable[[str, int, int | None], None], doing: str, total: int | None) -> Progress:
    """Turn the increments that a step reports into the running count that a bar shows."""
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        progress(doing, done, total)

    return advance


def _close_failed(settings: Settings, run: Run) -> None:
    unfinished = ["the one whose error follows"]
    try:
        write_report(settings, run, unfinished=unfinished)
    except Exception:
        log.exception("no page for the failed run run_id=%s", run.run_id)
    try:
        close_run(settings, run, unfinished=unfinished)
    except BooksDoNotBalance as error:
        log.info("run_failed run_id=%s message=%s", run.run_id, error)
    except Exception:
        log.exception("the failed run could not be closed run_id=%s", run.run_id)
