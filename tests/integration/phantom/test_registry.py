from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.clinical.ratingen import grade
from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import LIFELIKE, PLAIN, Difficulty
from scoring.phantom.patients import LIMB_JOINTS, Limb
from scoring.phantom.registry import (
    ACTIVITY_COLUMNS,
    CONSULTATION_COLUMNS,
    JOINT_COLUMNS,
    PhantomRegistry,
    simulate_radiographs,
    simulate_registry,
)

FIRST, YEARS = date(2005, 1, 1), 12
PUBLISHED_PREVALENCE = np.array([67, 27, 2.5, 1, 0.6, 1.5])
"""Percent of readings with Ratingen grades 0-5 (thesis, figure 4)."""


@pytest.fixture(scope="module")
def registry() -> PhantomRegistry:
    return simulate_registry(300, 11, FIRST, YEARS)


@pytest.fixture(scope="module")
def lifelike() -> PhantomRegistry:
    return simulate_registry(300, 11, FIRST, YEARS, LIFELIKE)


def _assert_published_prevalence(joints: pd.DataFrame) -> None:
    read = joints["erosion_read"].dropna().to_numpy()
    prevalence = np.bincount(grade(read).astype(int), minlength=6) / len(read) * 100
    tolerance = np.array([3, 3, 1, 0.5, 0.4, 0.8])
    assert (np.abs(prevalence - PUBLISHED_PREVALENCE) <= tolerance).all(), prevalence


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", [PLAIN, LIFELIKE], ids=["plain", "lifelike"])
def test_simulate_registry_has_the_published_prevalence_of_grades(difficulty: Difficulty) -> None:
    joints = simulate_registry(2000, 11, FIRST, YEARS, difficulty).joints
    assert joints["erosion_read"].count() >= 20_000
    _assert_published_prevalence(joints)


@pytest.mark.slow
@pytest.mark.parametrize("limb", ["hand_right", "wrists", "feet"])
def test_simulate_radiographs_of_other_limbs_has_the_same_prevalence_and_patients(
    limb: Limb, registry: PhantomRegistry
) -> None:
    joints = simulate_radiographs(2000, 11, FIRST, YEARS, limb=limb)
    assert set(joints["joint"]) == {joint.column for joint in LIMB_JOINTS[limb]}
    _assert_published_prevalence(joints)
    joints = joints[joints["patient_id"].isin(registry.visits["patient_id"])]
    assert joints["patient_id"].nunique() > 0.9 * registry.joints["patient_id"].nunique()
    assert not set(joints["sop_iuid"]) & set(registry.joints["sop_iuid"])
    here, there = (np.log1p(frame.groupby("patient_id")["erosion_true"].mean()) for frame in (registry.joints, joints))
    assert here.corr(there) > 0.6


def test_simulate_radiographs_of_left_hands_equals_the_registry() -> None:
    radiographs = simulate_radiographs(4, 11, FIRST, 3, limb="hand_left", difficulty=LIFELIKE)
    pd.testing.assert_frame_equal(radiographs, simulate_registry(4, 11, FIRST, 3, LIFELIKE).joints)


def test_simulate_registry_has_a_small_peak_of_fully_eroded_joints(registry: PhantomRegistry) -> None:
    counts = registry.joints["erosion_read"].value_counts()
    assert counts[100] > 3 * counts[[85, 90, 95]].max()
    assert counts[100] < 0.03 * counts.sum()


@pytest.mark.slow
def test_simulate_registry_has_the_published_weak_relation_of_damage_to_activity() -> None:
    registry = simulate_registry(2000, 11, FIRST, YEARS)
    visits = registry.visits.rename(columns={"visit_date": "date_x"})
    both = registry.consultations.merge(visits, on=["patient_id", "date_x"], validate="one_to_one")
    esr, crp = (both["rau_score"].corr(both[form]) for form in ("das28_esr4", "das28_crp3"))
    assert 0.09 < esr < 0.21
    assert 0.02 < crp < 0.14
    assert esr > crp


def test_simulate_registry_never_heals_erosions(registry: PhantomRegistry) -> None:
    in_order = registry.joints.sort_values(["patient_id", "joint", "visit_date"])
    change = in_order.groupby(["patient_id", "joint"])["erosion_true"].diff().dropna()
    assert (change >= 0).all()
    assert (change > 1).any()


def test_simulate_registry_has_readings_on_the_5_percent_grid_and_gaps(registry: PhantomRegistry) -> None:
    read = registry.joints["erosion_read"]
    assert (read.dropna() % 5 == 0).all()
    unread_radiographs = registry.joints.groupby("sop_iuid")["erosion_read"].count().eq(0).mean()
    assert 0.1 < unread_radiographs < 0.4
    read_radiographs = registry.consultations.dropna(subset="date_y")
    assert 0.005 < read_radiographs[list(JOINT_COLUMNS)].isna().to_numpy().mean() < 0.03


def test_simulate_registry_has_valid_consultations(registry: PhantomRegistry) -> None:
    radiographs = registry.consultations
    assert tuple(radiographs.columns) == CONSULTATION_COLUMNS
    assert radiographs["id_x"].is_unique
    assert radiographs["sop_iuid"].is_unique
    assert radiographs["sop_iuid"].str.fullmatch(r"2\.25\.[1-9]\d{0,38}").all()
    read = radiographs.dropna(subset="date_y")
    assert (read["date_x"] <= read["date_y"]).all()
    assert read["date_y"].max() <= FIRST + timedelta(days=366 * YEARS)
    assert radiographs["date_x"].min() >= FIRST


def test_simulate_registry_scales_the_rau_score_to_38_joints(registry: PhantomRegistry) -> None:
    radiograph = registry.consultations.dropna(subset="rau_score").sort_values("rau_score").iloc[-1]
    read = radiograph[list(JOINT_COLUMNS)].astype(float).dropna().to_numpy()
    assert radiograph["rau_score"] == pytest.approx(grade(read).sum() * 38 / len(read), abs=0.01)
    assert registry.consultations.loc[lambda radiographs: radiographs["date_y"].isna(), "rau_score"].isna().all()


def test_simulate_registry_has_scores_without_components_and_components_without_scores(
    registry: PhantomRegistry,
) -> None:
    activity = registry.disease_activity
    assert tuple(activity.columns) == ACTIVITY_COLUMNS
    components = activity[["swollen_28", "tender_28", "esr", "global_patient_estimate_disease_activity"]]
    score_alone = activity["das28bsr_score"].notna() & components.isna().any(axis=1)
    components_alone = activity["das28bsr_score"].isna() & components.notna().all(axis=1)
    assert score_alone.mean() > 0.2
    assert components_alone.mean() > 0.02
    assert not activity.duplicated(["patient_id", "date"]).any()


def test_simulate_registry_of_a_difficulty_changes_only_readings_and_operations(
    registry: PhantomRegistry, lifelike: PhantomRegistry
) -> None:
    pd.testing.assert_frame_equal(registry.visits, lifelike.visits)
    pd.testing.assert_frame_equal(registry.disease_activity, lifelike.disease_activity)
    fixed = ["id_x", "patient_id", "date_x", "sop_iuid", "body_part"]
    pd.testing.assert_frame_equal(registry.consultations[fixed], lifelike.consultations[fixed])
    here = lifelike.joints["operation"].isna()
    assert (registry.joints["erosion_true"][here] == lifelike.joints["erosion_true"][here]).all()
    assert registry.joints["operation"].isna().all()


def test_simulate_registry_keeps_operated_joints_operated_and_without_erosion(
    registry: PhantomRegistry, lifelike: PhantomRegistry
) -> None:
    operated = lifelike.joints[lifelike.joints["operation"].notna()]
    assert set(operated["operation"]) == {"prosthesis", "fusion"}
    assert operated[["erosion_true", "erosion_read"]].isna().to_numpy().all()
    assert 0.001 < len(operated) / len(lifelike.joints) < 0.02
    would_be = registry.joints["erosion_true"][operated.index]
    assert (would_be > 50).mean() > 0.7
    in_order = lifelike.joints.sort_values(["patient_id", "joint", "visit_date"])
    previous = in_order.groupby(["patient_id", "joint"])["operation"].shift()
    assert (in_order["operation"][previous.notna()] == previous[previous.notna()]).all()


def test_simulate_registry_has_visits_half_a_year_to_a_year_apart(registry: PhantomRegistry) -> None:
    days = pd.to_datetime(registry.visits["visit_date"]).groupby(registry.visits["patient_id"]).diff().dt.days.dropna()
    assert days.between(170, 390).all()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), n_patients=st.integers(1, 6), years=st.floats(0.3, 6))
def test_simulate_registry_contains_every_smaller_registry(seed: int, n_patients: int, years: float) -> None:
    small = simulate_registry(n_patients, seed, FIRST, years)
    large = simulate_registry(n_patients + 2, seed, FIRST, years)
    for name in ("visits", "consultations", "disease_activity", "joints"):
        frame = getattr(small, name)
        pd.testing.assert_frame_equal(frame, getattr(large, name).head(len(frame)), check_dtype=False)


@pytest.mark.parametrize(("n_patients", "years"), [(0, 1), (100_000, 1), (3, 0)])
def test_simulate_registry_rejects_invalid_sizes(n_patients: int, years: float) -> None:
    with pytest.raises(InvalidRequest):
        simulate_registry(n_patients, 1, FIRST, years)


def test_simulate_registry_works_without_any_radiograph() -> None:
    without = next(
        registry
        for registry in (simulate_registry(1, seed, FIRST, 0.3) for seed in range(200))
        if registry.consultations.empty
    )
    assert without.joints.empty
    assert tuple(without.consultations.columns) == CONSULTATION_COLUMNS
    assert not without.disease_activity.empty
