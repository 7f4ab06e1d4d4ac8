"""From a recipe and three sets of joints to a model in the store: the same steps for phantoms and for a site's data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidRequest, ModelRejected
from scoring.imaging import preprocess
from scoring.inference.engine import DEFAULT_BATCH_SIZE, Engine
from scoring.model_store import store
from scoring.model_store.stored_model import NOTICE, WEIGHTS, StoredModel
from scoring.networks.readout import ReadOutRule
from scoring.networks.weights import from_npz
from scoring.progress import Progress, no_progress
from scoring.training import export_model
from scoring.training.data.joint_set import JointSet, snapshot_sha256
from scoring.training.evaluation.bootstrap import Against, Predictions
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.evaluation.challenge import Verdict, judge
from scoring.training.evaluation.evaluate import Evaluation, evaluate_predictions
from scoring.training.fit import Epoch, Trained, TrainingRecipe, train

NOTICE_OF_SITE = "Trained on readings of one site. Not a medical device, and not for clinical use."


@dataclass(frozen=True)
class TrainingData:
    """What a candidate is made of, and what its manifest says of that.

    Attributes:
        training: The training set.
        validation: The validation set, which chooses the best epoch; other patients.
        test: Joints that are looked at once, at the end; other patients again.
        facts: The manifest's `data`, besides the description of the first two.
        test_facts: The manifest's `test_set`, besides number and hash of its joints.
        synthetic: Whether any joint that is learnt from is a phantom.
        against: What the answers are compared with; only phantoms have a truth.
        prior_readings: Readings as they occur, per cent, if those of the joints to learn from were enriched.
    """

    training: JointSet
    validation: JointSet
    test: JointSet
    facts: Mapping[str, Any]
    test_facts: Mapping[str, Any]
    synthetic: bool
    against: Sequence[Against] = ("reading",)
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
    on_epoch: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Train, export, prove that the engines agree, evaluate on the test joints, store. Promotes nothing.

    Args:
        version: Name of the new model; it must not exist yet.
        recipe: How to train.
        data: On what.
        store_url: Model store to write to, any fsspec URL.
        start: A model of the same architecture whose weights are gone on from (fine-tuning); None begins anew.
        work_dir: Local folder for checkpoints, to resume a stopped training; None keeps nothing.
        code_revision: Goes into the manifest.
        progress: Called during training.
        on_epoch: Called after each epoch.

    Returns:
        The manifest, as it stands in the store.

    Raises:
        InvalidRequest: The version exists or is no fit name, a set is too small, or nothing trained by the recipe could
            score.
        TrainingDiverged: The loss became NaN.
        ModelRejected: The engines disagree.
    """
    check_version_is_free(version, store_url)
    check_recipe(recipe)
    trained = train(
        recipe,
        data.training,
        data.validation,
        start=None if start is None else from_npz(start.files[WEIGHTS]),
        prior_readings=data.prior_readings,
        work_dir=work_dir,
        progress=progress,
        on_epoch=on_epoch,
    )
    files = export_model.model_files(trained.network)
    facts = _network_facts(version, recipe, trained, synthetic=data.synthetic)
    facts["started_from"] = None if start is None else start.version
    facts["read_out"] = asdict(_rule(recipe, StoredModel(facts, files), data.validation))
    draft = StoredModel(facts, files)
    facts["engines"] = export_model.agreement_facts(
        export_model.measure_agreement(draft, data.test.images[: export_model.AGREEMENT_JOINTS])
    )
    facts["metrics"] = {
        against: evaluation.to_dict() for against, evaluation in evaluate_stored(draft, data.test, data.against).items()
    }
    facts["test_set"] = {
        **data.test_facts,
        "n_joints": len(data.test),
        "snapshot_sha256": snapshot_sha256(data.test),
    }
    facts["data"] = {**data.facts, "training": _describe(data.training), "validation": _describe(data.validation)}
    facts["recipe"] = asdict(recipe)
    facts["training"] = _history(trained)
    facts["code_revision"] = code_revision
    facts["libraries"] = {name: package_version(name) for name in ("keras", "tensorflow", "openvino", "numpy")}
    return dict(store.write_model(store_url, facts, files).manifest)


def check_version_is_free(version: str, store_url: str) -> None:
    """Refuse a name that is not fit for a new model, before hours are spent on it.

    Raises:
        InvalidRequest: The version exists or is no fit name.
    """
    store.check_version(version)
    if version in store.model_versions(store_url):
        raise InvalidRequest(f"model {version} exists; choose another version")


def check_recipe(recipe: TrainingRecipe) -> None:
    """Refuse a recipe whose network no engine could run as it was trained, before hours are spent on it.

    Raises:
        InvalidRequest: Scoring does not stretch grey levels, or the CPU engine does not know a layer.
    """
    from scoring.networks.architecture import build
    from scoring.networks.openvino_graph import build_graph

    if recipe.stretch:
        raise InvalidRequest(
            "a recipe that stretches grey levels is for `scoring benchmark` only: scoring feeds them as they are"
        )
    try:
        build_graph(build(recipe.architecture, dict(recipe.arguments)), 1)
    except ValueError as error:
        raise InvalidRequest(f"this recipe is for `scoring benchmark` only: {error}") from error


def evaluate_stored(model: StoredModel, joints: JointSet, against: Sequence[Against]) -> dict[str, Evaluation]:
    """Evaluate a model's files, by what each answer is compared with.

    In float32, so that every processor prints the figures of the manifest; the manifest bounds what bfloat16 changes.
    """
    given, engine = predict_joints(model, joints)
    label = f"{engine.name} {engine.precision}"
    return {one: evaluate_predictions(given, joints, against=one, engine=label) for one in against}


def predict_joints(model: StoredModel, joints: JointSet) -> tuple[Predictions, Engine]:
    """What a model says of every joint, and what computed it: the engine that every machine has.

    Raises:
        ModelRejected: The model reads images of another size.
    """
    from scoring.inference.openvino_engine import OpenVinoEngine

    if model.side != joints.images.shape[1]:
        raise ModelRejected(
            f"model {model.version} reads images of {model.side} pixels a side, these joints have "
            f"{joints.images.shape[1]}: train it anew for the preprocessing of this code"
        )
    engine = OpenVinoEngine(model, DEFAULT_BATCH_SIZE, "float32")
    return Predictions(export_model.predict_with(engine, joints.images), model.rule), engine


def judge_models(
    champion: StoredModel, challenger: StoredModel, test: JointSet, *, metric: str, max_subgroup_loss: float
) -> Verdict:
    """Compare two stored models on the test joints, and decide whether the challenger is proposed.

    Args:
        champion: The current champion.
        challenger: The best candidate.
        test: Joints that neither was trained on.
        metric: One of `challenge.METRICS`.
        max_subgroup_loss: Largest tolerated increase of the mean grade difference in any subgroup.

    Raises:
        ModelRejected: A model reads images of another size, or its files cannot be loaded.
    """
    from scoring.inference.tensorflow_engine import TensorFlowEngine

    current, _ = predict_joints(champion, test)
    proposed, engine = predict_joints(challenger, test)
    few = test.images[: export_model.AGREEMENT_JOINTS]
    reference = export_model.predict_with(TensorFlowEngine(challenger, DEFAULT_BATCH_SIZE), few)
    return judge(
        test,
        current,
        proposed,
        metric=metric,
        max_subgroup_loss=max_subgroup_loss,
        engines_agree=export_model.compare(reference, proposed.cdf[: len(few)], engine).accepted,
    )


def _rule(recipe: TrainingRecipe, model: StoredModel, validation: JointSet) -> ReadOutRule:
    """The recipe's rule, or the one that suits the trained files best on the validation joints."""
    if not recipe.calibrated:
        return recipe.rule
    return calibrated_rule(predict_joints(model, validation)[0].cdf, validation.reading)


def _network_facts(version: str, recipe: TrainingRecipe, trained: Trained, *, synthetic: bool) -> dict[str, Any]:
    return {
        "version": version,
        "notice": NOTICE if synthetic else NOTICE_OF_SITE,
        "trained_on_synthetic": synthetic,
        "architecture": recipe.architecture,
        "arguments": dict(recipe.arguments),
        "n_parameters": int(trained.network.count_params()),
        "input_side": int(recipe.arguments["side"]),
        "preprocessing_version": preprocess.PREPROCESSING_VERSION,
    }


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
