"""The steps of a retraining, in order.

A snapshot of the site's own readings is taken and validated, and candidates are trained on it. The best candidate on
the validation patients challenges the champion on the test patients. The gate proposes it, or states why not; the
caller decides. Until `decide` promotes the challenger, nothing changes for the nightly job, whatever fails before.

Each step can be repeated: a snapshot is named by the hash of its content, a candidate by its recipe, snapshot and code
revision, and a stopped training resumes from its last finished epoch.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial

from scoring.errors import BadInput, InvalidRequest, ScoringError
from scoring.pipeline import models
from scoring.pipeline.approval import Decision, question
from scoring.pipeline.candidates import Candidate, train
from scoring.pipeline.reconciliation import step_discrepancies
from scoring.pipeline.run import Run, begin, failure_recorded, finish
from scoring.pipeline.run_folder import RunFolder, step
from scoring.pipeline.snapshot import Snapshot, joints_of, snapshot, validate
from scoring.progress import Progress, no_progress
from scoring.settings import Settings
from scoring.warehouse import connect

log = logging.getLogger(__name__)

JOB = "retraining"

PROMOTED = "promoted"
"""The decision on an approved challenger, which becomes the champion once the history is rescored."""


@dataclass(frozen=True)
class Challenge:
    """The best candidate compared with the champion.

    Attributes:
        challenge_id: Key of the row in `scoring.challenge`.
        champion: The champion's version.
        challenger: The candidate's version.
        proposed: True if the gate proposes the challenger.
        reasons: The gate's reasons, as sentences.
        question: All figures in Markdown, for the person who decides.
    """

    challenge_id: int
    champion: str
    challenger: str
    proposed: bool
    reasons: list[str]
    question: str


def open_run(
    settings: Settings,
    cut_off: date | None,
    *,
    recipes: Sequence[str],
    metric: str,
    trigger: str,
    triggered_by: str,
) -> Run:
    """Open a retraining, after checking the warehouse, the champion and the arguments.

    Args:
        settings: Settings of the installation.
        cut_off: Newest batch whose readings are used; None for the newest there is.
        recipes: Names of the recipes, one candidate each.
        metric: Metric by which champion and challenger are compared.
        trigger: The scheduler's id of the run, or "cli".
        triggered_by: The user, or how the run was started.

    Raises:
        InvalidRequest: A recipe or the metric is unknown, no recipe or one twice is given, a recipe's models could not
            score, or a promoted model waits for the history to be rescored.
        BadInput: The warehouse has no batch yet.
        WarehouseNotMigrated: The warehouse does not have the tables of this version.
        ModelRejected: A file of the champion is missing or was changed.
    """
    from scoring.training.candidate import check_recipe
    from scoring.training.evaluation.challenge import check_metric
    from scoring.training.recipes import recipe_named
    from scoring.warehouse import migrate
    from scoring.warehouse.queries import models as known_models
    from scoring.warehouse.queries import training_data

    if not recipes or len(set(recipes)) < len(recipes):
        raise InvalidRequest(f"A retraining needs one or more different recipes. Given: {', '.join(recipes)}.")
    for name in recipes:
        recipe_named(name, seed=0)
    check_metric(metric)
    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    champion = models.champion(settings)
    with connect.transaction(settings) as connection:
        promoted = known_models.promoted(connection)
    if promoted is not None and promoted["model_version"] != champion.version:
        raise InvalidRequest(
            f"{promoted['model_version']} is promoted, but {champion.version} is still the champion. Run `scoring "
            "rescore`, then retrain."
        )
    cut_off = cut_off or training_data.newest_batch(engine)
    if cut_off is None:
        raise BadInput("There are no readings: the warehouse has no batch yet. Run `scoring nightly` first.")
    for name in recipes:
        check_recipe(recipe_named(name, seed=0))
    return begin(settings, JOB, cut_off, champion, trigger=trigger, triggered_by=triggered_by)


@step
def compare(settings: Settings, run: Run, taken: Snapshot, candidates: Sequence[Candidate], metric: str) -> Challenge:
    """Compare the best candidate on the validation patients with the champion, on the test patients.

    The other candidates are not tried on the test patients: the best of many attempts would look better by chance.

    Raises:
        ModelRejected: A file of a model was changed, does not match its architecture, or needs other images.
    """
    from scoring.training.candidate import judge_models
    from scoring.training.data.joint_set import split
    from scoring.warehouse.publish import challenges, promotions

    best = max(candidates, key=lambda each: (each.score, each.version))
    champion, challenger = models.load(settings, run.model_version), models.load(settings, best.version)
    test = split(joints_of(settings, taken))["test"]
    verdict = judge_models(champion, challenger, test, metric=metric, max_subgroup_loss=settings.max_subgroup_loss)
    engine = connect.warehouse(settings)
    promotions.register_model(engine, challenger.manifest)
    challenge_id = challenges.record_challenge(
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
            proposed=verdict.proposed,
            reasons=verdict.reasons,
        ),
    )
    log.info("challenge run_id=%s challenge=%d proposed=%s", run.run_id, challenge_id, verdict.proposed)
    return Challenge(
        challenge_id=challenge_id,
        champion=champion.version,
        challenger=challenger.version,
        proposed=verdict.proposed,
        reasons=verdict.reasons,
        question=question(champion.version, challenger.version, verdict, synthetic=taken.synthetic),
    )


@step
def decide(settings: Settings, run: Run, challenge: Challenge, decision: Decision) -> str:
    """Promote a proposed challenger, or record that it was rejected. One that the gate rejected stays rejected.

    Returns:
        "promoted", "rejected" or "rejected by the gate".

    Raises:
        InvalidRequest: The opposite was decided before, another model was promoted since the comparison, or the person
            or the reason is empty.
        ModelRejected: A file of the challenger was changed since the comparison.
    """
    from scoring.warehouse.publish import challenges
    from scoring.warehouse.queries import models as known_models

    if not challenge.proposed:
        log.info("rejected_by_gate run_id=%s reasons=%s", run.run_id, challenge.reasons)
        return "rejected by the gate"
    engine = connect.warehouse(settings)
    result = PROMOTED if decision.approved else "rejected"
    # Checked before the promotion, which would remain even if the decision cannot be recorded.
    with connect.transaction(settings) as connection:
        challenges.check_decision(connection, challenge.challenge_id, result)
        promoted = known_models.promoted(connection)
    if decision.approved:
        # It is the challenger itself if this step promoted it and was stopped before it recorded the decision.
        if promoted is not None and promoted["model_version"] not in {challenge.champion, challenge.challenger}:
            raise InvalidRequest(
                f"{promoted['model_version']} was promoted after {challenge.challenger} had been compared with "
                f"{challenge.champion}. Start a new retraining, which compares with the current champion."
            )
        models.promote(settings, version=challenge.challenger, promoted_by=decision.decided_by, reason=decision.reason)
    challenges.record_decision(engine, challenge.challenge_id, result, decision.decided_by, decision.reason)
    log.info("decided run_id=%s challenge=%d decision=%s", run.run_id, challenge.challenge_id, result)
    return result


def close_run(settings: Settings, run: Run, *, unfinished: Sequence[str] = ()) -> None:
    """Append the result of the run.

    Raises:
        ScoringError: A step failed or did not finish. The champion is unchanged.
    """
    failures = RunFolder(settings, run.run_id).failures()
    found = step_discrepancies(failures, unfinished)
    finish(settings, run, found, summary=f"The retraining with cut-off {run.batch_date} failed", error=ScoringError)


def retrain(
    settings: Settings,
    *,
    recipes: Sequence[str],
    cut_off: date | None,
    metric: str,
    epochs: int | None,
    approve: bool,
    triggered_by: str,
    progress: Progress = no_progress,
) -> Challenge:
    """Run all steps in this process, as the DAG does.

    Args:
        settings: Settings of the installation.
        recipes: Names of the recipes, one candidate each.
        cut_off: Newest batch whose readings are used; None for the newest there is.
        metric: Metric by which champion and challenger are compared.
        epochs: Maximum number of epochs; None for the recipe's own.
        approve: Promote the challenger if the gate proposes it. If False, the question stays open.
        triggered_by: The user, who also becomes the promoter.
        progress: Called during long steps.
    """
    run = open_run(settings, cut_off, recipes=recipes, metric=metric, trigger="cli", triggered_by=triggered_by)
    with failure_recorded(run, partial(close_run, settings, run)):
        taken = snapshot(settings, run, progress)
        validate(settings, run, taken)
        candidates = [train(settings, run, taken, name, epochs=epochs, progress=progress) for name in recipes]
        challenge = compare(settings, run, taken, candidates, metric)
        if approve:
            reason = f"approved beforehand: {'; '.join(challenge.reasons)}"
            decide(settings, run, challenge, Decision(True, triggered_by, reason))
    close_run(settings, run)
    return challenge
