"""Retraining on a site's own warehouse: proposals and decisions, none of which changes the champion by itself."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from scoring.contract import SYNTHETIC_MARKER
from scoring.errors import InvalidRequest
from scoring.model_store import store
from scoring.pipeline import models, rescoring, retraining
from scoring.pipeline.approval import Decision
from scoring.settings import sql_dir
from scoring.training.checkpoint import TENSORBOARD
from tests.lib.retraining import (
    BATCH_DATE,
    champion,
    open_run,
    promoted,
    retrain,
    rows,
    store_model,
)

pytestmark = pytest.mark.slow  # the installation takes half a minute to build


def test_retrain_proposes_a_better_challenger_that_can_be_promoted_and_undone(site, warehouse):
    proposal = retrain(site)
    assert proposal.proposed, proposal.reasons
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT * FROM analyst.challenge")
    assert (row["champion"], row["challenger"]) == ("untrained-1", proposal.challenger)
    assert (row["decision"], row["decided_by"], row["judged_on_synthetic"]) == ("open", None, True)
    assert row["difference_low"] > 0
    assert row["cut_off"] == BATCH_DATE + timedelta(days=1)
    assert f"| accuracy and kappa | {row['n_joints']} |" in proposal.question
    assert "Synthetic phantoms" in proposal.question

    # After a promotion by hand, the proposal is no longer open.
    models.promote(site, version=proposal.challenger, promoted_by="a steward", reason="better")
    (row,) = rows(warehouse, "SELECT decision, decided_by FROM analyst.challenge")
    assert row == {"decision": "promoted", "decided_by": "a steward"}
    manifest = models.load(site, proposal.challenger).manifest
    assert manifest["trained_on_synthetic"] is True
    assert manifest["data"]["cut_off"] == "2026-11-22"

    shown = rows(warehouse, (sql_dir() / "queries" / "challenges_of_the_champion.sql").read_text())
    assert [(row["decision"], row["gate_reasons"]) for row in shown] == [("promoted", proposal.reasons[0])]

    # One command undoes it.
    models.promote(site, version="untrained-1", promoted_by="a steward", reason="second thoughts")
    assert champion(warehouse) == "untrained-1"


def test_retrain_promotes_an_approved_challenger_and_then_proposes_none(site, warehouse):
    first = retrain(site, approve=True)
    assert promoted(warehouse) == first.challenger
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT decision, decided_by, decision_reason FROM analyst.challenge")
    assert (row["decision"], row["decided_by"]) == ("promoted", "a steward")
    assert row["decision_reason"].startswith("approved beforehand: the challenger is better")

    # A champion that is about to be replaced cannot be challenged.
    with pytest.raises(InvalidRequest, match=r"is promoted, but untrained-1 is still the champion"):
        retrain(site)
    rescoring.rescore(site, accept_missing=False, triggered_by="a steward")
    assert champion(warehouse) == first.challenger

    again = retrain(site, approve=True)
    assert again.challenger == first.challenger
    assert not again.proposed
    assert len(rows(warehouse, "SELECT * FROM scoring.promotion")) == 2
    # A worse candidate is shown to be worse.
    worse = retrain(site, recipes=["lazy"], approve=True)
    assert not worse.proposed
    assert re.search(r"accuracy and kappa 0\.\d+ against [01]\.\d+, difference -0\.\d+", worse.reasons[0])
    row = rows(warehouse, "SELECT difference_high, decision FROM analyst.challenge ORDER BY challenge_id")[-1]
    assert row["difference_high"] < 0
    assert row["decision"] == "rejected by the gate"
    assert champion(warehouse) == first.challenger
    results = rows(warehouse, "SELECT status FROM scoring.run_result JOIN scoring.run USING (run_id)"
                   " WHERE job = 'retraining'")  # fmt: skip
    assert [run["status"] for run in results] == ["succeeded"] * 3


def test_retrain_rejects_a_challenger_that_is_no_better_with_the_reason(site, warehouse):
    challenge = retrain(site, recipes=["lazy"], approve=True)
    assert not challenge.proposed
    assert "the challenger is not shown to be better" in challenge.reasons[0]
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT decision, reasons, decided_by FROM analyst.challenge")
    assert row == {"decision": "rejected by the gate", "reasons": challenge.reasons, "decided_by": None}


def test_retrain_command_promotes_only_with_approve(site, warehouse, monkeypatch):
    from click.testing import CliRunner

    from scoring.cli import main
    from scoring.settings import get_settings

    for name in ("var_dir", "code_revision", "min_training_patients"):
        monkeypatch.setenv(f"SCORING_{name.upper()}", str(getattr(site, name)))
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", warehouse.job_url)
    get_settings.cache_clear()
    proposed = CliRunner().invoke(main, ["retrain", "--recipe", "tiny", "--cut-off", "2026-11-22"])
    assert proposed.exit_code == 0, proposed.output
    version = known_version(site, "tiny")
    assert "| accuracy and kappa |" in proposed.stdout
    assert proposed.stdout.splitlines()[-1].endswith(f'To promote it: scoring promote {version} --reason "..."')
    assert champion(warehouse) == "untrained-1"

    rejected = CliRunner().invoke(main, ["retrain", "--recipe", "lazy", "--approve"])
    assert rejected.stdout.splitlines()[-1].endswith("is not proposed; untrained-1 remains the champion.")
    approved = CliRunner().invoke(main, ["retrain", "--recipe", "tiny", "--approve"])
    assert approved.stdout.splitlines()[-1] == f"{version} is promoted. Run `scoring rescore` to make it the champion."
    assert promoted(warehouse) == version
    get_settings.cache_clear()


def known_version(site, recipe):
    (version,) = [each for each in store.model_versions(site.model_store_url) if each.startswith(f"{recipe}-")]
    return version


def test_compare_chooses_the_best_candidate_on_the_validation_set(site, warehouse):
    run = open_run(site, recipes=["tiny", "lazy"])
    taken = retraining.snapshot(site, run)
    candidates = [retraining.train(site, run, taken, name) for name in ("lazy", "tiny")]
    challenge = retraining.compare(site, run, taken, candidates, "quadratic_weighted_kappa")
    assert challenge.challenger == candidates[1].version
    (row,) = rows(warehouse, "SELECT candidates, metric FROM scoring.challenge")
    assert row["candidates"] == {each.version: each.score for each in candidates}
    assert row["metric"] == "quadratic_weighted_kappa"

    # Repeated steps return the same results, and a candidate is not trained twice.
    assert retraining.compare(site, run, taken, candidates, "quadratic_weighted_kappa") == challenge
    assert retraining.train(site, run, taken, "tiny") == candidates[1]
    assert retraining.snapshot(site, run) == taken


def test_decide_records_who_rejected_a_challenger_and_why(site, warehouse):
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    challenge = retraining.compare(site, run, taken, [retraining.train(site, run, taken, "tiny")], "accuracy_and_kappa")
    assert challenge.proposed
    rejected = Decision(False, "a doctor", "the wrists look wrong")
    assert retraining.decide(site, run, challenge, rejected) == "rejected"
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT decision, decided_by, decision_reason FROM analyst.challenge")
    assert row == {"decision": "rejected", "decided_by": "a doctor", "decision_reason": "the wrists look wrong"}
    # The same decision changes nothing; the opposite is an error and promotes nothing.
    assert retraining.decide(site, run, challenge, rejected) == "rejected"
    with pytest.raises(InvalidRequest, match=r"was already rejected.*Retrain"):
        retraining.decide(site, run, challenge, Decision(True, "a doctor", "after all"))
    assert promoted(warehouse) == "untrained-1"
    # A promotion by hand replaces the decision.
    models.promote(site, version=challenge.challenger, promoted_by="a steward", reason="they were read again")
    (row,) = rows(warehouse, "SELECT decision, decided_by, decision_reason FROM analyst.challenge")
    assert row == {"decision": "promoted", "decided_by": "a steward", "decision_reason": "they were read again"}


def test_decide_rejects_a_challenger_compared_with_a_former_champion(site, warehouse):
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    challenge = retraining.compare(site, run, taken, [retraining.train(site, run, taken, "tiny")], "accuracy_and_kappa")
    store_model(site, "other-1", models.load(site, "untrained-1").files)
    models.promote(site, version="other-1", promoted_by="another steward", reason="meanwhile")
    with pytest.raises(InvalidRequest, match=r"other-1 was promoted after .* had been compared with untrained-1"):
        retraining.decide(site, run, challenge, Decision(True, "a doctor", "it is better"))
    assert promoted(warehouse) == "other-1"


def test_snapshot_has_the_readings_received_by_the_cut_off(site):
    early = retraining.snapshot(site, open_run(site, cut_off=BATCH_DATE))
    late = retraining.snapshot(site, open_run(site))
    assert 0 < early.n_joints < late.n_joints
    assert (late.excluded, late.n_discordant, late.n_patients) == ({}, 0, 114)
    assert sum(late.joints_by_grade) == late.n_joints


def test_retrain_on_data_of_patients_makes_a_model_that_is_not_synthetic(site):
    for marker in Path(site.landing_url).glob(f"*/{SYNTHETIC_MARKER}"):
        marker.unlink()
    challenge = retrain(site, recipes=["lazy"])
    manifest = models.load(site, challenge.challenger).manifest
    assert manifest["trained_on_synthetic"] is False
    assert manifest["notice"].startswith("Trained on readings of one site.")
    assert "Synthetic" not in challenge.question


def test_retrain_resumes_a_killed_training(site_without_candidates, warehouse, monkeypatch):
    site = site_without_candidates
    from scoring.training.fit import TrainingRun

    class Killed(BaseException):
        pass

    shown = []

    def until_the_third_epoch(doing, done, total):
        shown.append(done)
        if doing.startswith("training") and done > 0.6 * total:
            raise Killed

    with pytest.raises(Killed):
        retraining.retrain(
            site, recipes=["tiny"], cut_off=None, metric="accuracy_and_kappa", epochs=None, approve=True,
            triggered_by="a steward", progress=until_the_third_epoch,
        )  # fmt: skip
    assert champion(warehouse) == "untrained-1"
    epochs = []
    run_epoch = TrainingRun.run_epoch
    monkeypatch.setattr(
        TrainingRun, "run_epoch", lambda run, progress: epochs.append(run_epoch(run, progress)) or epochs[-1]
    )
    challenge = retrain(site)
    assert [epoch.epoch for epoch in epochs] == [3, 4]
    assert challenge.proposed
    # A stored model needs no checkpoint; the learning curves are kept.
    left = [path.name for path in (site.var_dir / "training" / challenge.challenger).iterdir()]
    assert left == [TENSORBOARD]
