"""The gate, on answers made by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidRequest
from scoring.networks.readout import ReadOutRule
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.challenge import METRICS, MIN_SUBGROUP_JOINTS, MIN_TEST_PATIENTS, judge

PERCENT = np.array([0, 10, 30, 50, 70, 90], np.float32)
"""An erosion within each grade."""

JOINTS = ("hand_left_1", "hand_left_2", "hand_left_10", "foot_right_1", "wrist_left")


@dataclass(frozen=True)
class Case:
    """Grades, and whose joints they are of."""

    read: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    patient_id: np.ndarray
    joint: np.ndarray


def answers(n_patients=20, per_patient=15, right=1.0, right_of_champion=0.5, seed=0):
    """Every grade equally often; a wrong answer is one grade off."""
    rng = np.random.default_rng(seed)
    n = n_patients * per_patient
    read = np.arange(n) % 6
    off = np.where(read == 5, 4, read + 1)
    return Case(
        read=read,
        champion=np.where(rng.random(n) < right_of_champion, read, off),
        challenger=np.where(rng.random(n) < right, read, off),
        patient_id=np.repeat([f"{i:05d}" for i in range(n_patients)], per_patient),
        joint=np.array(JOINTS)[np.arange(n) % len(JOINTS)],
    )


def joints_of(case):
    n = len(case.read)
    return JointSet(
        images=np.zeros((n, 1, 1), np.uint8),
        reading=PERCENT[case.read],
        truth=np.full(n, np.nan, np.float32),
        patient_id=case.patient_id,
        joint=case.joint,
        sop_iuid=case.patient_id,
        year=np.full(n, 2016),
    )


def ruled(case, **options):
    return judge(
        joints_of(case),
        Predictions.sure(PERCENT[case.champion]),
        Predictions.sure(PERCENT[case.challenger]),
        **{"metric": "accuracy_and_kappa", "max_subgroup_loss": 0.15, "engines_agree": True} | options,
    )


def test_a_better_challenger_is_proposed_with_its_figures():
    verdict = ruled(answers())
    assert verdict.proposed
    assert (verdict.challenger, verdict.n_joints, verdict.n_patients) == (1.0, 300, 20)
    assert 0 < verdict.interval[0] < verdict.challenger - verdict.champion < verdict.interval[1]
    (reason,) = verdict.reasons
    assert f"accuracy and kappa 1.000 against {verdict.champion:.3f}" in reason


def test_the_same_answers_are_no_reason_to_change():
    same = answers()
    verdict = ruled(replace(same, challenger=same.champion))
    assert not verdict.proposed
    assert verdict.interval == (0.0, 0.0)
    assert "the interval must lie above 0" in verdict.reasons[0]


def test_a_difference_that_may_be_chance_is_not_enough():
    verdict = ruled(answers(n_patients=12, per_patient=6, right=0.6))
    assert verdict.challenger > verdict.champion
    assert verdict.interval[0] < 0
    assert not verdict.proposed


def test_a_subgroup_that_loses_is_named():
    better = answers()
    severe = better.read >= 2
    # Right about all others, and two grades off where the champion was at most one.
    worse_somewhere = replace(better, challenger=np.where(severe, better.read - 2, better.challenger))
    verdict = ruled(worse_somewhere, metric="within_one_accuracy")
    assert any(reason.startswith("severe (grades 2 to 5): its answers are 2.00 grades") for reason in verdict.reasons)
    feet = better.joint == "foot_right_1"
    verdict = ruled(replace(better, challenger=np.where(feet, np.abs(better.read - 1), better.challenger)))
    assert not verdict.proposed
    # Here nothing else is on the right.
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["MTP", "right side"]
    # What the site allows, it allows.
    assert ruled(replace(better, challenger=np.where(feet, np.abs(better.read - 1), better.challenger)),
                 max_subgroup_loss=1).proposed  # fmt: skip


def test_a_challenger_that_fails_on_dark_images_is_refused():
    case = answers()
    dark = np.arange(300) % 3 == 0
    images = np.where(dark, 20, np.where(np.arange(300) % 3 == 1, 100, 200)).astype(np.uint8)[:, np.newaxis, np.newaxis]
    worse = np.where(dark & (np.arange(300) % 2 == 0), np.abs(case.read - 3), case.read)
    verdict = judge(
        replace(joints_of(case), images=images), Predictions.sure(PERCENT[case.champion]), Predictions.sure(PERCENT[worse]),
        metric="quadratic_weighted_kappa", max_subgroup_loss=0.15, engines_agree=True,
    )  # fmt: skip
    assert {group.name: group.n_joints for group in verdict.subgroups if "images" in group.name} == {
        "bright images": 100, "dark images": 100, "medium images": 100,
    }  # fmt: skip
    assert not verdict.proposed
    assert any(reason.startswith("dark images: ") for reason in verdict.reasons)
    assert not any(reason.startswith(("bright images: ", "medium images: ")) for reason in verdict.reasons)


def test_a_small_subgroup_is_shown_but_not_judged():
    few = answers()
    wrist = np.flatnonzero(few.joint == "wrist_left")
    joint = few.joint.copy()
    joint[wrist[MIN_SUBGROUP_JOINTS - 1 :]] = "hand_left_1"
    challenger = few.challenger.copy()
    challenger[joint == "wrist_left"] = np.abs(few.read[joint == "wrist_left"] - 1)
    verdict = ruled(replace(few, joint=joint, challenger=challenger))
    (group,) = [group for group in verdict.subgroups if group.name == "wrist"]
    assert group.n_joints == MIN_SUBGROUP_JOINTS - 1
    assert group.challenger > group.champion + 0.15
    assert verdict.proposed


def test_few_patients_prove_nothing():
    assert ruled(answers(n_patients=MIN_TEST_PATIENTS)).proposed
    verdict = ruled(answers(n_patients=MIN_TEST_PATIENTS - 1))
    assert not verdict.proposed
    assert verdict.reasons == ["the test set has 9 patients; fewer than 10 prove nothing"]


def test_one_patient_is_refused():
    assert not ruled(answers(n_patients=1, per_patient=200)).proposed


def test_engines_that_do_not_agree_are_an_obstacle():
    assert ruled(answers(), engines_agree=False).reasons == ["its engines do not agree"]


def test_an_undefined_difference_is_an_obstacle():
    """All joints intact and called so: there is no kappa, and nothing to be better in."""
    intact = answers(n_patients=12)
    zeros = np.zeros_like(intact.read)
    verdict = ruled(replace(intact, read=zeros, champion=zeros, challenger=zeros))
    assert np.isnan(verdict.interval).all()
    assert not verdict.proposed


def test_every_metric_can_be_asked_for_and_no_other():
    for metric in METRICS:
        assert ruled(answers(), metric=metric).metric == metric
    with pytest.raises(InvalidRequest, match="no metric 'auc'; there are accuracy_and_kappa, class_norm"):
        ruled(answers(), metric="auc")


def test_the_subgroups_are_those_that_have_joints():
    only_hands = answers()
    verdict = ruled(replace(only_hands, joint=np.full(300, "hand_left_1")))
    groups = {group.name: group for group in verdict.subgroups}
    assert set(groups) == {
        "PIP", "left side", "dark images", "intact (grade 0)", "slight (grade 1)", "severe (grades 2 to 5)",
    }  # fmt: skip
    assert groups["PIP"].n_joints == 300
    assert sum(group.n_joints for name, group in groups.items() if "grade" in name) == 300
    assert groups["PIP"].challenger == 0
    assert 0.4 < groups["PIP"].champion < 0.6


def test_each_model_is_read_by_its_own_rule():
    """Both give the same distributions; the champion's borders call the mean of 10 % grade 0."""
    case = answers(right=1.0)
    same = Predictions.sure(PERCENT[case.read])
    champion = replace(same, rule=ReadOutRule(borders=(15, 20, 40, 60, 80)))
    verdict = judge(
        joints_of(case), champion, same, metric="class_normalized_accuracy", max_subgroup_loss=0.15, engines_agree=True
    )
    assert (verdict.champion, verdict.challenger) == (pytest.approx(5 / 6), 1)
    assert verdict.interval == (pytest.approx(1 / 6), pytest.approx(1 / 6))
    assert verdict.proposed


def test_the_usual_metric_rewards_neither_extreme():
    read = np.repeat(np.arange(6), [60, 20, 10, 5, 3, 2])
    always_0 = metrics.of_confusions(metrics.confusion_matrix(read, np.zeros(100)))
    assert always_0["accuracy_and_kappa"] == pytest.approx(1 / 12)
    assert metrics.of_confusions(metrics.confusion_matrix(read, read))["accuracy_and_kappa"] == 1


def test_patients_are_drawn_not_joints():
    """Ten joints of one patient are one observation: the more alike they are, the wider the interval."""
    read = np.zeros(200, int)
    read[::2] = 3
    for_all = np.where(np.arange(200) < 100, read, 5 - read)
    together = np.repeat([f"{i:02d}" for i in range(20)], 10)
    scattered = np.tile([f"{i:02d}" for i in range(20)], 10)
    widths = []
    for patients in (together, scattered):
        case = Case(read, 5 - read, for_all, patients, np.full(200, "hand_left_1"))
        low, high = ruled(case, metric="class_normalized_accuracy").interval
        widths.append(high - low)
    assert widths[0] > 2 * widths[1]


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_swapping_the_two_turns_the_interval_round(seed):
    case = answers(right=0.6, seed=seed)
    low, high = ruled(case).interval
    back = ruled(replace(case, champion=case.challenger, challenger=case.champion)).interval
    assert low < high
    assert back == pytest.approx((-high, -low), abs=1e-12)
