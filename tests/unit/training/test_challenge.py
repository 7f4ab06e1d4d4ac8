"""The promotion gate, on predictions made by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidRequest
from scoring.networks.readout import ReadOutRule
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.challenge import METRICS, MIN_SUBGROUP_JOINTS, MIN_TEST_PATIENTS, check_metric, judge
from tests.lib.joint_sets import PERCENT_OF_GRADE, joint_set

JOINTS = ("hand_left_1", "hand_left_2", "hand_left_10", "foot_right_1", "wrist_left")


@dataclass(frozen=True)
class Case:
    """Grades of joints, with patients and joint names."""

    read: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    patient_id: np.ndarray
    joint: np.ndarray


def case_of(n_patients=20, per_patient=15, correct=1.0, champion_correct=0.5, seed=0):
    """All grades are equally frequent; a wrong prediction is one grade off."""
    rng = np.random.default_rng(seed)
    n = n_patients * per_patient
    read = np.arange(n) % 6
    off = np.where(read == 5, 4, read + 1)
    return Case(
        read=read,
        champion=np.where(rng.random(n) < champion_correct, read, off),
        challenger=np.where(rng.random(n) < correct, read, off),
        patient_id=np.repeat([f"{i:05d}" for i in range(n_patients)], per_patient),
        joint=np.array(JOINTS)[np.arange(n) % len(JOINTS)],
    )


def joints_of(case, **fields):
    return joint_set(
        PERCENT_OF_GRADE[case.read], patient_id=case.patient_id, joint=case.joint, sop_iuid=case.patient_id, **fields
    )


def grades(values):
    return Predictions.certain(PERCENT_OF_GRADE[values])


def verdict_on(case, **options):
    return judge(
        joints_of(case),
        grades(case.champion),
        grades(case.challenger),
        **{"metric": "accuracy_and_kappa", "max_subgroup_loss": 0.15, "engines_agree": True} | options,
    )


def test_judge_proposes_a_better_challenger_with_its_figures():
    verdict = verdict_on(case_of())
    assert verdict.proposed
    assert (verdict.challenger, verdict.n_joints, verdict.n_patients) == (1.0, 300, 20)
    assert 0 < verdict.interval[0] < verdict.challenger - verdict.champion < verdict.interval[1]
    (reason,) = verdict.reasons
    assert f"accuracy and kappa 1.000 against {verdict.champion:.3f}" in reason


def test_judge_does_not_propose_equal_predictions():
    same = case_of()
    verdict = verdict_on(replace(same, challenger=same.champion))
    assert not verdict.proposed
    assert verdict.interval == (0.0, 0.0)
    assert "the interval must be above 0" in verdict.reasons[0]


def test_judge_does_not_propose_a_difference_that_may_be_chance():
    verdict = verdict_on(case_of(n_patients=12, per_patient=6, correct=0.6))
    assert verdict.challenger > verdict.champion
    assert verdict.interval[0] < 0
    assert not verdict.proposed


def test_judge_names_a_subgroup_that_loses():
    better = case_of()
    severe = better.read >= 2
    # Two grades off on severe joints, where the champion is at most one grade off, and correct on all others.
    worse_somewhere = replace(better, challenger=np.where(severe, better.read - 2, better.challenger))
    verdict = verdict_on(worse_somewhere, metric="within_one_accuracy")
    assert any(reason.startswith("severe (grades 2 to 5): mean error 2.00 grades") for reason in verdict.reasons)
    feet = better.joint == "foot_right_1"
    verdict = verdict_on(replace(better, challenger=np.where(feet, np.abs(better.read - 1), better.challenger)))
    assert not verdict.proposed
    # No other joint is on the right side.
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["MTP", "right side"]
    # The site may tolerate a larger loss.
    assert verdict_on(replace(better, challenger=np.where(feet, np.abs(better.read - 1), better.challenger)),
                 max_subgroup_loss=1).proposed  # fmt: skip


def test_judge_does_not_propose_a_challenger_that_fails_on_dark_images():
    case = case_of()
    dark = np.arange(300) % 3 == 0
    images = np.where(dark, 20, np.where(np.arange(300) % 3 == 1, 100, 200)).astype(np.uint8)[:, np.newaxis, np.newaxis]
    worse = np.where(dark & (np.arange(300) % 2 == 0), np.abs(case.read - 3), case.read)
    verdict = judge(
        joints_of(case, images=images), grades(case.champion), grades(worse),
        metric="quadratic_weighted_kappa", max_subgroup_loss=0.15, engines_agree=True,
    )  # fmt: skip
    assert {group.name: group.n_joints for group in verdict.subgroups if "images" in group.name} == {
        "bright images": 100, "dark images": 100, "medium images": 100,
    }  # fmt: skip
    assert not verdict.proposed
    assert any(reason.startswith("dark images: ") for reason in verdict.reasons)
    assert not any(reason.startswith(("bright images: ", "medium images: ")) for reason in verdict.reasons)


def test_judge_reports_a_small_subgroup_without_deciding_by_it():
    few = case_of()
    wrist = np.flatnonzero(few.joint == "wrist_left")
    joint = few.joint.copy()
    joint[wrist[MIN_SUBGROUP_JOINTS - 1 :]] = "hand_left_1"
    challenger = few.challenger.copy()
    challenger[joint == "wrist_left"] = np.abs(few.read[joint == "wrist_left"] - 1)
    verdict = verdict_on(replace(few, joint=joint, challenger=challenger))
    (group,) = [group for group in verdict.subgroups if group.name == "wrist"]
    assert group.n_joints == MIN_SUBGROUP_JOINTS - 1
    assert group.challenger > group.champion + 0.15
    assert verdict.proposed


def test_judge_needs_enough_patients():
    assert verdict_on(case_of(n_patients=MIN_TEST_PATIENTS)).proposed
    verdict = verdict_on(case_of(n_patients=MIN_TEST_PATIENTS - 1))
    assert not verdict.proposed
    assert verdict.reasons == ["the test set has 9 patients; at least 10 are needed"]


def test_judge_does_not_propose_by_a_single_patient():
    assert not verdict_on(case_of(n_patients=1, per_patient=200)).proposed


def test_judge_needs_engines_that_agree():
    assert "by TensorFlow and OpenVINO differ" in verdict_on(case_of(), engines_agree=False).reasons[0]


def test_judge_does_not_propose_an_undefined_difference():
    """If all joints are intact and predicted so, kappa is not defined."""
    intact = case_of(n_patients=12)
    zeros = np.zeros_like(intact.read)
    verdict = verdict_on(replace(intact, read=zeros, champion=zeros, challenger=zeros))
    assert np.isnan(verdict.interval).all()
    assert not verdict.proposed


@pytest.mark.parametrize("metric", METRICS)
def test_judge_compares_by_every_metric(metric):
    check_metric(metric)
    assert verdict_on(case_of(), metric=metric).metric == metric


def test_check_metric_rejects_an_unknown_metric():
    with pytest.raises(InvalidRequest, match=r"There is no metric 'auc'\. Use one of: accuracy_and_kappa, class_norm"):
        check_metric("auc")


def test_judge_reports_subgroups_that_have_joints():
    only_hands = case_of()
    verdict = verdict_on(replace(only_hands, joint=np.full(300, "hand_left_1")))
    groups = {group.name: group for group in verdict.subgroups}
    assert set(groups) == {
        "PIP", "left side", "dark images", "intact (grade 0)", "slight (grade 1)", "severe (grades 2 to 5)",
    }  # fmt: skip
    assert groups["PIP"].n_joints == 300
    assert sum(group.n_joints for name, group in groups.items() if "grade" in name) == 300
    assert groups["PIP"].challenger == 0
    assert 0.4 < groups["PIP"].champion < 0.6


def test_judge_reads_each_model_by_its_own_rule():
    """Both predict the same distributions; by the champion's borders, a mean of 10 % is grade 0."""
    case = case_of(correct=1.0)
    same = grades(case.read)
    champion = replace(same, rule=ReadOutRule(borders=(15, 20, 40, 60, 80)))
    verdict = judge(
        joints_of(case), champion, same, metric="class_normalized_accuracy", max_subgroup_loss=0.15, engines_agree=True
    )
    assert (verdict.champion, verdict.challenger) == (pytest.approx(5 / 6), 1)
    assert verdict.interval == (pytest.approx(1 / 6), pytest.approx(1 / 6))
    assert verdict.proposed


def test_accuracy_and_kappa_rewards_neither_extreme():
    read = np.repeat(np.arange(6), [60, 20, 10, 5, 3, 2])
    always_0 = metrics.confusion_measures(metrics.confusion_matrix(read, np.zeros(100)))
    assert always_0["accuracy_and_kappa"] == pytest.approx(1 / 12)
    assert metrics.confusion_measures(metrics.confusion_matrix(read, read))["accuracy_and_kappa"] == 1


def test_judge_resamples_patients():
    """The interval is wider if equal joints belong to one patient."""
    read = np.zeros(200, int)
    read[::2] = 3
    for_all = np.where(np.arange(200) < 100, read, 5 - read)
    together = np.repeat([f"{i:02d}" for i in range(20)], 10)
    scattered = np.tile([f"{i:02d}" for i in range(20)], 10)
    widths = []
    for patients in (together, scattered):
        case = Case(read, 5 - read, for_all, patients, np.full(200, "hand_left_1"))
        low, high = verdict_on(case, metric="class_normalized_accuracy").interval
        widths.append(high - low)
    assert widths[0] > 2 * widths[1]


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_judge_reverses_the_interval_if_models_are_swapped(seed):
    case = case_of(correct=0.6, seed=seed)
    low, high = verdict_on(case).interval
    back = verdict_on(replace(case, champion=case.challenger, challenger=case.champion)).interval
    assert low < high
    assert back == pytest.approx((-high, -low), abs=1e-12)
