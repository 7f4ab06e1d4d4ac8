"""Train one candidate of a retraining."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from scoring.pipeline import models
from scoring.pipeline.run import Run
from scoring.pipeline.run_folder import RunFolder
from scoring.pipeline.snapshot import Snapshot, joints_of
from scoring.progress import Progress, no_progress
from scoring.settings import Settings

if TYPE_CHECKING:
    from scoring.training.candidate import TrainingData
    from scoring.training.recipes import TrainingRecipe

log = logging.getLogger(__name__)

DATA_CARD = "Joint images and readings of this site, the latest reading of every joint, split 70/20/10 by patient."


@dataclass(frozen=True)
class Candidate:
    """A trained model of the store, and its score on the validation patients."""

    version: str
    recipe: str
    score: float


def train(
    settings: Settings,
    run: Run,
    taken: Snapshot,
    recipe_name: str,
    *,
    epochs: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Candidate:
    """Train one candidate and write it to the model store. Promotes nothing.

    A candidate is named after its recipe, snapshot and code revision. One that the store already has is not trained
    again, and a stopped training resumes from its last finished epoch.

    Raises:
        TrainingDiverged: The loss became NaN.
        ModelRejected: The engines disagree about the trained network.
        StorageUnavailable: There is no space for a checkpoint or the model.
    """
    from scoring.model_store import store
    from scoring.training.recipes import recipe_named

    with RunFolder(settings, run.run_id).keeping_failure(f"train_{recipe_name}"):
        recipe = recipe_named(recipe_name, seed=seed, epochs=epochs)
        version = candidate_version(recipe_name, recipe, taken, run.batch_date, settings.revision)
        if version in store.model_versions(settings.model_store_url):
            manifest = models.load(settings, version).manifest
        else:
            data = _training_data(settings, run, taken, recipe_name)
            manifest = _train_new(settings, version, recipe, data, progress)
    training = manifest["training"]
    score = float(training["history"][training["best_epoch"] - 1]["score"])
    log.info("candidate_ready run_id=%s version=%s score=%.4f", run.run_id, version, score)
    return Candidate(version, recipe_name, score)


def _training_data(settings: Settings, run: Run, taken: Snapshot, recipe_name: str) -> "TrainingData":
    from scoring.training.candidate import TrainingData
    from scoring.training.data.joint_set import split

    parts = split(joints_of(settings, taken))
    return TrainingData(
        training=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        facts={
            "card": DATA_CARD,
            "recipe": recipe_name,
            "cut_off": run.batch_date.isoformat(),
            "snapshot_sha256": taken.sha256,
            "excluded": taken.excluded,
            "n_discordant": taken.n_discordant,
        },
        test_facts={"prevalence": "the registry's"},
        synthetic=taken.synthetic,
    )


def _train_new(
    settings: Settings, version: str, recipe: "TrainingRecipe", data: "TrainingData", progress: Progress
) -> dict[str, Any]:
    from scoring.training.candidate import train_candidate
    from scoring.training.checkpoint import CHECKPOINT

    work_dir = settings.var_dir / "training" / version
    manifest = train_candidate(
        version,
        recipe,
        data,
        settings.model_store_url,
        work_dir=work_dir,
        code_revision=settings.revision,
        progress=progress,
    )
    # A stored model needs no checkpoint any more; the learning curves are small and stay.
    (work_dir / CHECKPOINT).unlink(missing_ok=True)
    return manifest


def candidate_version(
    recipe_name: str, recipe: "TrainingRecipe", taken: Snapshot, cut_off: date, code_revision: str
) -> str:
    """Return the name of a candidate: equal for the same recipe, data and code, and different otherwise."""
    identity = json.dumps([asdict(recipe), taken.sha256, taken.synthetic, code_revision], sort_keys=True, default=str)
    return f"{recipe_name}-{cut_off.isoformat()}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
