"""From a recipe and three joint sets to a model in the store, the same for phantoms and for a site's own data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidRequest, ModelRejected
from scoring.imaging import preprocess
from scoring.inference.engine import DEFAULT_BATCH_SIZE
from scoring.model_store import store
from scoring.model_store.stored_model import NOTICE, WEIGHTS, StoredModel
from scoring.networks.weights import from_npz
from scoring.progress import Progress, no_progress
from scoring.training import export_model
from scoring.training.data.joint_set import JointSet, snapshot_sha256
from scoring.training.evaluation.bootstrap import Against, Predictions
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.evaluation.challenge import Verdict, judge
from scoring.training.evaluation.evaluate import evaluate_predictions
from scoring.training.fit import Trained, train
from scoring.training.recipes import TrainingRecipe

SITE_NOTICE = "Trained on readings of one site. Not a medical device, and not for clinical use."


@dataclass(frozen=True)
class TrainingData:
    """The data of a candidate, and their description for its manifest. No patient is in two of the sets.

    Attributes:
        training, validation: The training and the validation set.
        test: The test set, which is used once, at the end.
        facts: The manifest's `data`, except the descriptions of training and validation set.
        test_facts: The manifest's `test_set`, except the number and hash of its joints.
        synthetic: True if any joint of the training set is a phantom.
        prior_readings: Readings at natural prevalence, in percent, if the training set was enriched; None uses the
            training set.
    """

    training: JointSet
    validation: JointSet
    test: JointSet
    facts: Mapping[str, Any]
    test_facts: Mapping[str, Any]
    synthetic: bool
    prior_readings: NDArray[np.float32] | None = None


def train_candidate(
    version: str,
    recipe: TrainingRecipe,
    data: TrainingData,
    store_url: str,
    *,
    start: StoredModel | None = None,
    work_dir: Path | None = None,
    code_revision: str = "unknown",
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train a network, export it, check that its engines agree, evaluate it on the test set and write it to the store.

    `start` is a model of the same architecture to start from (fine-tuning); by default, the weights are random.
    `work_dir` is a local folder for the checkpoint, from which a stopped training resumes. Nothing is promoted. Returns
    the manifest in the store.

    Raises:
        InvalidRequest: A set is too small, or the checkpoint or the model to start from does not fit the recipe.
        TrainingDiverged: The loss became NaN.
        ModelRejected: The engines disagree.
    """
    trained = train(
        recipe,
        data.training,
        data.validation,
        start=None if start is None else from_npz(start.files[WEIGHTS]),
        prior_readings=data.prior_readings,
        work_dir=work_dir,
        progress=progress,
    )
    files = export_model.model_files(trained.network)
    facts: dict[str, Any] = {
        "version": version,
        "notice": NOTICE if data.synthetic else SITE_NOTICE,
        "trained_on_synthetic": data.synthetic,
        "architecture": recipe.architecture,
        "arguments": dict(recipe.arguments),
        "n_parameters": int(trained.network.count_params()),
        "input_side": int(recipe.arguments["side"]),
        "preprocessing_version": preprocess.PREPROCESSING_VERSION,
        "started_from": None if start is None else start.version,
    }
    rule = recipe.rule
    if recipe.calibrated:
        cdf = predict_joints(StoredModel(facts, files), data.validation).cdf
        rule = calibrated_rule(cdf, data.validation.reading)
    facts["read_out"] = asdict(rule)
    draft = StoredModel(facts, files)
    facts["engines"] = export_model.measure_agreement(draft, data.test.images[: export_model.AGREEMENT_JOINTS])
    predictions = predict_joints(draft, data.test)
    references: tuple[Against, ...] = ("reading", "truth") if data.test.truth_known else ("reading",)
    facts |= {
        "metrics": {one: evaluate_predictions(predictions, data.test, against=one).to_dict() for one in references},
        "test_set": {**data.test_facts, "n_joints": len(data.test), "snapshot_sha256": snapshot_sha256(data.test)},
        "data": {**data.facts, "training": _describe(data.training), "validation": _describe(data.validation)},
        "recipe": asdict(recipe),
        "training": _history(trained),
        "code_revision": code_revision,
        "libraries": {name: package_version(name) for name in ("keras", "tensorflow", "openvino", "numpy")},
    }
    return dict(store.write_model(store_url, facts, files).manifest)


def check_version_is_free(version: str, store_url: str) -> None:
    """Raise InvalidRequest if a version exists or is not a valid name, before hours of training."""
    store.check_version(version)
    if version in store.model_versions(store_url):
        raise InvalidRequest(f"Model {version} already exists. Choose another version.")


def check_recipe(recipe: TrainingRecipe) -> None:
    """Raise InvalidRequest if models of a recipe cannot score, before hours of training.

    Scoring does not stretch grey levels, and the CPU engine lacks some layers.
    """
    from scoring.networks.architecture import build
    from scoring.networks.openvino_graph import build_graph

    if recipe.stretch:
        raise InvalidRequest(
            "The recipe stretches grey levels, which scoring does not. It is for `scoring benchmark` only; use another "
            "recipe."
        )
    try:
        build_graph(build(recipe.architecture, dict(recipe.arguments)), 1)
    except ValueError as error:
        raise InvalidRequest(
            f"The recipe is for `scoring benchmark` only; use another one. The CPU engine cannot run it: {error}"
        ) from error


def predict_joints(model: StoredModel, joints: JointSet) -> Predictions:
    """Return a model's predictions for every joint, by OpenVINO in float32, so that every CPU gives the same figures.

    Raises:
        ModelRejected: The model needs images of another size.
    """
    from scoring.inference.openvino_engine import OpenVinoEngine

    if model.side != joints.images.shape[1]:
        raise ModelRejected(
            f"Model {model.version} needs images of {model.side} pixels per side, but these joints have "
            f"{joints.images.shape[1]}. Train it again with the preprocessing of this code."
        )
    engine = OpenVinoEngine(model, DEFAULT_BATCH_SIZE, "float32")
    cdf = export_model.predict_with(engine, joints.images)
    return Predictions(cdf, model.rule, f"{engine.name} {engine.precision}")


def judge_models(
    champion: StoredModel, challenger: StoredModel, test: JointSet, *, metric: str, max_subgroup_loss: float
) -> Verdict:
    """Compare two stored models on the test set, and decide whether the challenger is proposed (`challenge.judge`).

    Raises:
        ModelRejected: A model needs images of another size, or its files cannot be loaded.
    """
    from scoring.inference.tensorflow_engine import TensorFlowEngine

    current, proposed = predict_joints(champion, test), predict_joints(challenger, test)
    few = test.images[: export_model.AGREEMENT_JOINTS]
    reference = export_model.predict_with(TensorFlowEngine(challenger, DEFAULT_BATCH_SIZE), few)
    agree = export_model.compare(reference, proposed.cdf[: len(few)]).accepted
    return judge(test, current, proposed, metric=metric, max_subgroup_loss=max_subgroup_loss, engines_agree=agree)


def _describe(joints: JointSet) -> dict[str, Any]:
    return {
        "n_joints": len(joints),
        "n_patients": len(np.unique(joints.patient_id)),
        "grades": np.bincount(joints.grades, minlength=6).tolist(),
        "snapshot_sha256": snapshot_sha256(joints),
    }


def _history(trained: Trained) -> dict[str, Any]:
    return {
        "best_epoch": trained.best_epoch,
        "precision": trained.precision,
        "history": [
            {
                "epoch": epoch.epoch,
                "loss": round(epoch.loss, 5),
                "score": round(epoch.score, 4),
                "validation": {name: round(value, 4) for name, value in epoch.validation.items()},
            }
            for epoch in trained.history
        ],
    }
