"""The steps of a retraining, in the order in which they run.

A snapshot of the site's own readings is taken and validated, candidates are trained on it, and the best of them on the
validation patients challenges the champion on the test patients. The gate proposes it or says why not; who decides is
the caller's business. Until `decide` promotes, nothing changes for the nightly job, whatever fails before.

Each step can be repeated: a snapshot is named by its content, a candidate by what it is made of, and a training that
was stopped goes on from its last finished epoch.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scoring.errors import BadInput, InvalidRequest, ScoringError
from scoring.pipeline import installation, models
from scoring.pipeline.staged import Staging, explained
from scoring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from upath import UPath

    from scoring.training.candidate import TrainingData
    from scoring.training.dataset import JointSet
    from scoring.training.fit import TrainingRecipe
    from scoring.training.promotion import Verdict

log = logging.getLogger(__name__)

JOB = "retraining"
DATA_CARD = "Joint images and readings of this site, the latest reading of every joint, split 70/20/10 by patient."

PROMOTED = "promoted"
"""What became of a challenger that was approved; it is the champion once the history is rescored."""

APPROVE, REFUSE = "Approve", "Refuse"
"""The two answers to the question whether a challenger shall become the champion."""


@dataclass(frozen=True)
class Run:
    """One retraining, as the steps hand it on."""

    run_id: str
    cut_off: date
    champion: str

    def to_dict(self) -> dict[str, str]:
        """The run as an XCom."""
        return {**asdict(self), "cut_off": self.cut_off.isoformat()}

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> "Run":
        """The run of an XCom."""
        return cls(**{**values, "cut_off": date.fromisoformat(values["cut_off"])})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Snapshot:
    """The read joints of a run.

    Attributes:
        sha256: Names the stored set.
        n_joints: Joints in it.
        n_patients: Patients behind them.
        joints_by_grade: Joints read as grade 0 to 5.
        left_out: Read joints that were left out, by reason.
        read_differently: Joints that were read more than once, with different values.
        synthetic: Whether any image came from a folder of synthetic phantoms.
    """

    sha256: str
    n_joints: int
    n_patients: int
    joints_by_grade: list[int]
    left_out: dict[str, int]
    read_differently: int
    synthetic: bool


@dataclass(frozen=True)
class Candidate:
    """A trained model of the store, and its score on the validation patients."""

    version: str
    recipe: str
    score: float


@dataclass(frozen=True)
class Challenge:
    """The best candidate against the champion.

    Attributes:
        challenge_id: Its row in the warehouse.
        champion: The model that nights are scored with.
        challenger: The candidate.
        promote: Whether the gate proposes the challenger.
        reasons: Why, in sentences.
        question: All figures in Markdown, for the person who is asked.
    """

    challenge_id: int
    champion: str
    challenger: str
    promote: bool
    reasons: list[str]
    question: str


@dataclass(frozen=True)
class Decision:
    """Whether a proposed challenger shall become the champion, by whom and why."""

    approved: bool
    decided_by: str
    reason: str


def require_run(values: Mapping[str, str] | None) -> Run:
    """The run of an XCom, or a clear error when `open_run` left none.

    Raises:
        InvalidRequest: If the run was never opened.
    """
    if values is None:
        raise InvalidRequest("the retraining was never opened; the log of open_run says why")
    return Run.from_dict(values)


def open_run(
    settings: Settings,
    cut_off: date | None,
    *,
    recipes: Sequence[str],
    metric: str,
    trigger: str,
    triggered_by: str,
) -> Run:
    """Begin a retraining: check warehouse, champion and what was asked for before anything is read.

    Args:
        settings: The installation.
        cut_off: Newest landing folder to take readings from; None takes the newest there is.
        recipes: Names of the recipes to train candidates by.
        metric: What champion and challenger are compared by.
        trigger: The scheduler's id of the run, or cli.
        triggered_by: Who or what started it.

    Raises:
        InvalidRequest: A recipe or the metric is unknown, no recipe is named or one twice, nothing trained by one could
            score, or a model is promoted and waits for the history to be rescored.
        BadInput: The warehouse has no night yet.
        WarehouseNotMigrated: The warehouse does not have this version's tables.
        ModelRefused: The champion's files are missing or were changed.
    """
    from scoring.training.candidate import refuse_unfit_recipe
    from scoring.training.promotion import check_metric
    from scoring.training.recipes import recipe_named
    from scoring.warehouse import migrate, runs, training_data
    from scoring.warehouse import models as known_models

    if not recipes or len(set(recipes)) < len(recipes):
        raise InvalidRequest(f"a retraining needs one or more recipes, each once; asked for: {', '.join(recipes)}")
    for name in recipes:
        recipe_named(name, seed=0)
    check_metric(metric)
    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    model = models.champion(settings)
    promoted = known_models.promoted(engine)
    if promoted is not None and promoted["version"] != model.version:
        raise InvalidRequest(
            f"{promoted['version']} is promoted and waits for the history to be rescored, so a challenger of "
            f"{model.version} would come too late: run `scoring rescore` and retrain then"
        )
    cut_off = cut_off or training_data.newest_folder(engine)
    if cut_off is None:
        raise BadInput("there are no readings at all: the warehouse has no night yet, so run `scoring nightly` first")
    for name in recipes:
        refuse_unfit_recipe(recipe_named(name, seed=0))
    run = Run(str(uuid4()), cut_off, model.version)
    runs.open_run(
        engine,
        run.run_id,
        cut_off,
        trigger=trigger,
        triggered_by=triggered_by,
        code_revision=settings.revision,
        model_version=model.version,
        job=JOB,
    )
    log.info("run_opened run_id=%s cut_off=%s champion=%s", run.run_id, cut_off, model.version)
    return run


@explained
def snapshot(settings: Settings, run: Run, progress: models.Progress = lambda *_: None) -> Snapshot:
    """Read, check and decode every read joint, and store the set under its own hash.

    Raises:
        BadInput: Too large a share of the images cannot be used any more.
        StorageUnavailable: The images' storage failed, or there is no room for the set.
    """
    import numpy as np

    from scoring.imaging.preprocess import PREPROCESSING_VERSION
    from scoring.training import dataset
    from scoring.training.snapshot import take_snapshot
    from scoring.warehouse import training_data

    engine = installation.warehouse(settings)
    readings = training_data.read_joints(engine, run.cut_off)
    taken = take_snapshot(
        readings,
        max_bad_share=settings.max_bad_share,
        min_rows_for_bad_share=settings.min_rows_for_bad_share,
        on_image=lambda done, total: progress("decoding joints", done, total),
    )
    joints = taken.joints
    found = Snapshot(
        sha256=dataset.snapshot_sha256(joints),
        n_joints=len(joints),
        n_patients=len(np.unique(joints.patient_id)),
        joints_by_grade=np.bincount(joints.grades, minlength=6).tolist(),
        left_out=taken.left_out,
        read_differently=taken.read_differently,
        synthetic=_any_synthetic(readings["uri"]),
    )
    path = _snapshot_path(settings, found.sha256)
    if not path.exists():
        dataset.write_joint_set(path, joints)
    training_data.record_snapshot(
        engine,
        run.run_id,
        training_data.SnapshotFacts(cut_off=run.cut_off, preprocessing_version=PREPROCESSING_VERSION, **asdict(found)),
    )
    log.info("snapshot_taken run_id=%s n=%d left_out=%s", run.run_id, found.n_joints, found.left_out)
    return found


@explained
def validate(settings: Settings, run: Run, taken: Snapshot) -> dict[str, int]:
    """Judge the snapshot by its suite, before hours are spent on it.

    Returns:
        Joints to learn from, to choose by and to test on, by part.

    Raises:
        BadInput: The set cannot be used; the message lists why.
    """
    from scoring.training.promotion import MIN_TEST_PATIENTS
    from scoring.validation.docs import NightDocs
    from scoring.validation.training_set import check_training_set

    docs = NightDocs(settings.report_url, run.cut_off, run.run_id)
    try:
        verdict = check_training_set(
            _as_frame(_joints_of(settings, taken)),
            min_joints_of_grade=settings.min_joints_of_grade,
            min_patients=settings.min_training_patients,
            min_test_patients=MIN_TEST_PATIENTS,
            docs=docs,
        )
    finally:
        docs.write()
    for rule, n in verdict.remarks.items():
        log.warning("training_set_remark run_id=%s rule=%s joints=%d", run.run_id, rule, n)
    return {part: sum(of_grade) for part, of_grade in verdict.joints.items()}


def train(
    settings: Settings,
    run: Run,
    taken: Snapshot,
    recipe_name: str,
    *,
    epochs: int | None = None,
    seed: int = 0,
    progress: models.Progress = lambda *_: None,
) -> Candidate:
    """Train one candidate and write it to the model store. Promotes nothing.

    A candidate is named after what it is made of: recipe, snapshot and code. One that is in the store already is not
    trained again, and a training that was stopped goes on from its last finished epoch.

    Raises:
        TrainingDiverged: The loss became NaN.
        ModelRefused: The engines disagree about the trained network.
        StorageUnavailable: There is no room for a checkpoint or the model.
    """
    from scoring.training import store
    from scoring.training.recipes import recipe_named

    with Staging(settings, run.run_id).explaining(f"train_{recipe_name}"):
        recipe = recipe_named(recipe_name, seed=seed, epochs=epochs)
        version = candidate_version(recipe_name, recipe, taken, run.cut_off, settings.revision)
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
    from scoring.training.dataset import split

    parts = split(_joints_of(settings, taken))
    return TrainingData(
        learning=parts["train"],
        choosing=parts["validation"],
        test=parts["test"],
        facts={
            "card": DATA_CARD,
            "recipe": recipe_name,
            "cut_off": run.cut_off.isoformat(),
            "snapshot_sha256": taken.sha256,
            "left_out": taken.left_out,
            "read_differently": taken.read_differently,
        },
        test_facts={"prevalence": "the registry's"},
        synthetic=taken.synthetic,
    )


def _train_new(
    settings: Settings, version: str, recipe: "TrainingRecipe", data: "TrainingData", progress: models.Progress
) -> dict[str, Any]:
    from scoring.training.candidate import train_candidate
    from scoring.training.fit import CHECKPOINT

    work_dir = settings.var_dir / "training" / version
    manifest = train_candidate(
        version,
        recipe,
        data,
        settings.model_store_url,
        work_dir=work_dir,
        code_revision=settings.revision,
        on_step=lambda done, total: progress(f"training {version}", done, total),
    )
    # What is in the model store needs no checkpoint any more; the curves are small and stay.
    (work_dir / CHECKPOINT).unlink(missing_ok=True)
    return manifest


@explained
def compare(settings: Settings, run: Run, taken: Snapshot, candidates: Sequence[Candidate], metric: str) -> Challenge:
    """Let the candidate that is best on the validation patients challenge the champion on the test patients.

    The others are not tried on the test patients: the best of many tries would be better by luck.

    Raises:
        ModelRefused: A model's files were changed, do not fit its architecture, or want other images.
    """
    from scoring.inference.engines import DEFAULT_BATCH_SIZE
    from scoring.inference.tensorflow_engine import TensorFlowEngine
    from scoring.training import dataset, export, promotion
    from scoring.training.candidate import answer
    from scoring.warehouse import challenges
    from scoring.warehouse import models as known_models

    best = max(candidates, key=lambda each: (each.score, each.version))
    champion, challenger = models.load(settings, run.champion), models.load(settings, best.version)
    test = dataset.split(_joints_of(settings, taken))["test"]
    held, _ = answer(champion, test)
    proposed, engine_used = answer(challenger, test)
    few = test.images[: export.AGREEMENT_JOINTS]
    reference = export.predict_with(TensorFlowEngine(challenger, DEFAULT_BATCH_SIZE), few)
    verdict = promotion.judge(
        test,
        held,
        proposed,
        metric=metric,
        max_subgroup_loss=settings.max_subgroup_loss,
        engines_agree=export.compare(reference, proposed.cdf[: len(few)], engine_used).accepted,
    )
    engine = installation.warehouse(settings)
    known_models.register_model(engine, challenger.manifest)
    number = challenges.record_challenge(
        engine,
        run.run_id,
        challenges.ChallengeFacts(
            snapshot_sha256=taken.sha256,
            champion=champion.version,
            challenger=challenger.version,
            metric=metric,
            champion_value=verdict.champion,
            challenger_value=verdict.challenger,
            interval=verdict.interval,
            n_joints=verdict.n_joints,
            n_patients=verdict.n_patients,
            subgroups=[asdict(group) for group in verdict.subgroups],
            candidates={each.version: each.score for each in candidates},
            promote=verdict.promote,
            reasons=verdict.reasons,
        ),
    )
    log.info("challenge run_id=%s challenge=%d promote=%s", run.run_id, number, verdict.promote)
    return Challenge(
        challenge_id=number,
        champion=champion.version,
        challenger=challenger.version,
        promote=verdict.promote,
        reasons=verdict.reasons,
        question=question(champion.version, challenger.version, verdict, synthetic=taken.synthetic),
    )


def check_approval(approval: str, approvers: Sequence[str]) -> None:
    """Refuse a run without a question where the installation names who answers it.

    Raises:
        InvalidRequest: `approval` is `none`, and there are approvers.
    """
    if approval == "none" and approvers:
        raise InvalidRequest(
            "the parameter approval is none, but SCORING_APPROVERS names who decides: start the run with approval = "
            "person"
        )


def decision_of(answer: Mapping[str, Any] | None, *, approval: str, started_by: str) -> Decision:
    """What an answer in Airflow's *Required Actions* comes to.

    Args:
        answer: Chosen options, input and user, as Airflow's operator returns them; None if there is none.
        approval: `person`, or `none` if whoever started the run wants no question.
        started_by: Who started the run.
    """
    if approval == "none":
        return Decision(True, started_by, "the run was started without asking for approval")
    # Also where somebody marked the question as done without answering it.
    if answer is None or answer["responded_by_user"] is None:
        return Decision(False, "nobody", "nobody answered the question")
    reason = str((answer["params_input"] or {}).get("reason") or "").strip()
    approved = answer["chosen_options"] == [APPROVE]
    return Decision(approved, str(answer["responded_by_user"]["name"]), reason or "no reason was given")


@explained
def decide(settings: Settings, run: Run, challenge: Challenge, decision: Decision) -> str:
    """Promote a proposed challenger, or write down that it was refused. One that the gate refused stays refused.

    Returns:
        `promoted`, `refused` or `refused by the gate`.

    Raises:
        InvalidRequest: The opposite was decided before, another model was promoted since the comparison, or nobody or
            no reason is named.
        ModelRefused: The challenger's files were changed since the comparison.
    """
    from scoring.warehouse import challenges
    from scoring.warehouse import models as known_models

    if not challenge.promote:
        log.info("refused_by_gate run_id=%s reasons=%s", run.run_id, challenge.reasons)
        return "refused by the gate"
    engine = installation.warehouse(settings)
    became = PROMOTED if decision.approved else "refused"
    # Before the promotion, which would stand though this decision is refused.
    challenges.check_decision(engine, challenge.challenge_id, became)
    if decision.approved:
        today = known_models.promoted(engine)
        # The challenger itself, where this step promoted it and was stopped before it wrote the decision down.
        if today is not None and today["version"] not in {challenge.champion, challenge.challenger}:
            raise InvalidRequest(
                f"{today['version']} was promoted since {challenge.challenger} was compared with {challenge.champion}: "
                "retrain again, so that it is compared with the champion of today"
            )
        models.promote(settings, version=challenge.challenger, promoted_by=decision.decided_by, reason=decision.reason)
    challenges.record_decision(engine, challenge.challenge_id, became, decision.decided_by, decision.reason)
    log.info("decided run_id=%s challenge=%d decision=%s", run.run_id, challenge.challenge_id, became)
    return became


def close_run(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> None:
    """Append how the run ended.

    Raises:
        ScoringError: A step failed or did not finish; repeats its message. The champion is what it was.
    """
    from scoring.warehouse import runs

    engine = installation.warehouse(settings)
    failures = Staging(settings, run.run_id).failures()
    found = [f"{step} failed: {said}" for step, said in failures.items()] or [
        f"step {step} did not finish" for step in unfinished
    ]
    if found:
        message = f"the retraining of {run.cut_off} is not finished: {'; '.join(found)}"
        runs.close_run(engine, run.run_id, "failed", message)
        raise ScoringError(message)
    runs.close_run(engine, run.run_id, "succeeded")


def retrain(
    settings: Settings,
    *,
    recipes: Sequence[str],
    cut_off: date | None,
    metric: str,
    epochs: int | None,
    approve: bool,
    triggered_by: str,
    progress: models.Progress = lambda *_: None,
) -> Challenge:
    """All steps in this process: what the DAG does, for a shell.

    Args:
        settings: The installation.
        recipes: Names of the recipes to train candidates by.
        cut_off: Newest landing folder to take readings from; None takes the newest there is.
        metric: What champion and challenger are compared by.
        epochs: At most so many; None takes the recipe's own.
        approve: Promote what the gate proposes. Without it the proposal stays open.
        triggered_by: Who asks, and in whose name a promotion is made.
        progress: Called with what is being done, how much of it is done, and how much there is.

    Returns:
        The challenge.
    """
    run = open_run(settings, cut_off, recipes=recipes, metric=metric, trigger="cli", triggered_by=triggered_by)
    try:
        taken = snapshot(settings, run, progress)
        validate(settings, run, taken)
        candidates = [train(settings, run, taken, name, epochs=epochs, progress=progress) for name in recipes]
        challenge = compare(settings, run, taken, candidates, metric)
        if approve:
            said = f"approved beforehand: {'; '.join(challenge.reasons)}"
            decide(settings, run, challenge, Decision(True, triggered_by, said))
    except Exception:
        _close_failed(settings, run)
        raise
    close_run(settings, run)
    return challenge


def candidate_version(
    recipe_name: str, recipe: "TrainingRecipe", taken: Snapshot, cut_off: date, code_revision: str
) -> str:
    """The name of a candidate: the same recipe, data and code give the same name, anything else another."""
    made_of = json.dumps([asdict(recipe), taken.sha256, taken.synthetic, code_revision], sort_keys=True, default=str)
    return f"{recipe_name}-{cut_off.isoformat()}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"


def question(champion: str, challenger: str, verdict: "Verdict", *, synthetic: bool) -> str:
    """What the person who decides is shown, in Markdown."""
    low, high = verdict.interval
    rows = [
        (f"{verdict.metric.replace('_', ' ')}", verdict.n_joints, verdict.champion, verdict.challenger),
        *(
            (f"grades from the reading, {group.name}", group.n_joints, group.champion, group.challenger)
            for group in verdict.subgroups
        ),
    ]
    notice = "**Synthetic phantoms: the figures say nothing about patients.**\n\n" if synthetic else ""
    table = "\n".join(f"| {name} | {n} | {a:.3f} | {b:.3f} | {b - a:+.3f} |" for name, n, a, b in rows)
    reasons = "\n".join(f"- {reason}" for reason in verdict.reasons)
    return (
        f"{notice}On {verdict.n_joints} joints of {verdict.n_patients} test patients, whom neither model has seen. The "
        f"first difference has the 95 % interval {low:+.3f} to {high:+.3f}.\n\n"
        f"| | joints | champion {champion} | challenger {challenger} | difference |\n|---|---:|---:|---:|---:|\n"
        f"{table}\n\n{reasons}\n"
    )


def _snapshot_path(settings: Settings, sha256: str) -> "UPath":
    from upath import UPath

    return UPath(settings.staging_url) / "snapshots" / f"{sha256}.npz"


def _joints_of(settings: Settings, taken: Snapshot) -> "JointSet":
    """The stored set, compared with the hash that names it."""
    from scoring.training import dataset

    path = _snapshot_path(settings, taken.sha256)
    joints = dataset.read_joint_set(path)
    if dataset.snapshot_sha256(joints) != taken.sha256:
        raise BadInput(f"{path} was changed since it was stored; delete it and take the snapshot again")
    return joints


def _as_frame(joints: "JointSet") -> "pd.DataFrame":
    """The set as its suite wants it."""
    import pandas as pd

    from scoring.training.dataset import split_of

    patients = pd.Series(joints.patient_id, dtype="str")
    return pd.DataFrame(
        {
            "pixels_sha256": [hashlib.sha256(image).hexdigest() for image in joints.images],
            "joint": pd.Series(joints.joint, dtype="str"),
            "patient_id": patients,
            "part": patients.map({patient: split_of(patient) for patient in patients.unique()}),
            "erosion_percent": joints.reading.astype("float64"),
            "grade": joints.grades,
        }
    )


def _any_synthetic(uris: "Iterable[str]") -> bool:
    """Whether any of these images lies in a landing folder that carries the mark of `scoring phantom`."""
    from upath import UPath

    from scoring.phantom.nights import SYNTHETIC_MARKER

    folders = {str(UPath(uri).parent.parent) for uri in uris}
    return any((UPath(folder) / SYNTHETIC_MARKER).exists() for folder in sorted(folders))


def _close_failed(settings: Settings, run: Run) -> None:
    try:
        close_run(settings, run, unfinished=["the one whose error follows"])
    except ScoringError as error:
        log.info("run_failed run_id=%s message=%s", run.run_id, error)
    except Exception:
        log.exception("the failed run could not be closed run_id=%s", run.run_id)
