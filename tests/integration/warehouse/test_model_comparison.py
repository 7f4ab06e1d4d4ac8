"""The formulas of the model comparison in SQL against numpy, for any pairs of predictions."""

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.clinical import ratingen
from scoring.clinical.joints import joint_by_column
from scoring.training.evaluation.metrics import confusion_matrix, quadratic_weighted_kappa
from scoring.warehouse.publish.analytics import publish_model_comparison
from tests.lib.staged import RUN
from tests.lib.warehouse import execute

JOINTS = ("hand_left_1", "hand_left_2", "hand_left_10", "foot_left_1", "wrist_left")
FIGURES = ("mean_shift", "sd_shift", "loa_low", "loa_high", "slope", "intercept", "quadratic_weighted_kappa")

PREPARE = """
INSERT INTO scoring.model_version
SELECT version, 'a', 128, 'grey128-v1', repeat('a', 64), '{}', TRUE FROM unnest(ARRAY['old', 'new']) AS version;
INSERT INTO scoring.run (run_id, batch_date, trigger, triggered_by, code_revision)
VALUES ('00000000-0000-0000-0000-000000000001', '2026-11-21', 'cli', 'tester', 'abc');
INSERT INTO registry.radiograph
SELECT '1.' || number, '00123', '2020-01-01', 'HAND_LEFT', '2026-11-21', '2026-11-21',
    '00000000-0000-0000-0000-000000000001' FROM generate_series(0, 9) AS number;
"""
# One prediction, and a Rau score of the radiograph with the same value.
INSERT = """
INSERT INTO imaging.joint_image
VALUES (:radiograph, :joint, :sha256, 'f', 'u', 1, 9, 9, 'Gray', 1, 1, '2026-11-21', :run_id) ON CONFLICT DO NOTHING;
INSERT INTO scoring.joint_prediction
VALUES (
    :sha256, :model, 'grey128-v1', :radiograph, :joint, :percent, :percent, :percent, :percent, :grade,
    '{1,0,0,0,0,0}', 'e', 'c', :run_id, '2026-11-21'
);
INSERT INTO scoring.rau_prediction (
    scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version, rau_expected, rau_median, rau_q05,
    rau_q95, rau_from_grades, n_scored, batch_date, first_batch_date, run_id
)
VALUES (
    'radiograph', '00123', '2020-01-01', :radiograph, :model, 'grey128-v1', :percent, :percent, :percent, :percent,
    :percent, 1, '2026-11-21', '2026-11-21', :run_id
);
"""

# Halves are exact in single precision, so numpy and PostgreSQL compute with the same numbers.
PERCENT = st.integers(0, 200).map(lambda half: half / 2)
PAIRS = st.lists(st.tuples(st.sampled_from(JOINTS), PERCENT, PERCENT), min_size=1, max_size=10)


@pytest.fixture(scope="module")
def prepared(new_warehouse):
    with new_warehouse() as warehouse:
        superuser = warehouse.engine(warehouse.superuser_url)
        execute(superuser, PREPARE)
        yield superuser


def insert(connection, radiograph: int, joint: str, model: str, percent: float) -> None:
    values = {
        "radiograph": f"1.{radiograph}",
        "joint": joint,
        "sha256": f"{radiograph:064x}",
        "model": model,
        "percent": percent,
        "grade": int(ratingen.grade(percent)),
        "run_id": str(RUN),
    }
    connection.execute(sa.text(INSERT), values)


def compare(engine, pairs) -> pd.DataFrame:
    """Compare two models on these pairs, and roll back."""
    with engine.connect() as connection, connection.begin() as undone:
        for radiograph, (joint, old, new) in enumerate(pairs):
            insert(connection, radiograph, joint, "old", old)
            insert(connection, radiograph, joint, "new", new)
        publish_model_comparison(connection, "old", "new", RUN)
        found = pd.read_sql_query(sa.text("SELECT * FROM analytics.model_comparison"), connection)
        undone.rollback()
    return found.set_index(["measure", "joint_kind", "old_grade"]).astype(dict.fromkeys(FIGURES, "float64"))


@settings(max_examples=40)
@given(pairs=PAIRS)
def test_model_comparison_of_every_stratum_equals_numpy(prepared, pairs):
    found = compare(prepared, pairs)
    frame = pd.DataFrame(pairs, columns=["joint", "old", "new"])
    frame["kind"] = [joint_by_column(joint).kind for joint in frame["joint"]]
    frame["grade"] = ratingen.grade(frame["old"].to_numpy()).astype(int).astype(str)
    everything = pd.concat(
        [frame.assign(kind=kind, grade=grade) for kind in ("all", frame["kind"]) for grade in ("all", frame["grade"])]
    )
    strata = dict(iter(everything.groupby(["kind", "grade"])))

    assert set(found.loc["erosion"].index) == set(strata)
    for (kind, grade), rows in strata.items():
        row, old, new = found.loc[("erosion", kind, grade)], rows["old"].to_numpy(), rows["new"].to_numpy()
        confusion = confusion_matrix(ratingen.grade(old), ratingen.grade(new))
        check_figures(row, old, new, with_line=grade == "all")
        assert row["same_grade"] == pytest.approx(np.trace(confusion) / len(rows))
        kappa = quadratic_weighted_kappa(confusion) if grade == "all" else np.nan
        assert row["quadratic_weighted_kappa"] == pytest.approx(kappa, nan_ok=True, abs=1e-9)
        assert [row[f"n_new_grade_{each}"] for each in range(6)] == confusion.sum(axis=0).tolist()
    of_radiographs = found.loc[("rau_radiograph", "all", "all")]
    check_figures(of_radiographs, frame["old"].to_numpy(), frame["new"].to_numpy(), with_line=True)


def check_figures(row, old, new, *, with_line: bool) -> None:
    shift = new - old
    sd = shift.std(ddof=1) if len(shift) > 1 else np.nan
    assert row["n"] == len(shift)
    for name, value in (
        ("mean_shift", shift.mean()),
        ("sd_shift", sd),
        ("loa_low", shift.mean() - 1.96 * sd),
        ("loa_high", shift.mean() + 1.96 * sd),
    ):
        assert row[name] == pytest.approx(value, nan_ok=True, abs=1e-9), name
    if not with_line or np.ptp(old) == 0 or np.ptp(new) == 0:
        assert pd.isna(row["slope"])
        assert pd.isna(row["intercept"])
    elif abs(np.cov(old, new, ddof=0)[0, 1]) > 1e-9:
        # With equal error variances, the Deming regression is the first principal axis.
        axis = np.linalg.eigh(np.cov(old, new, ddof=0))[1][:, 1]
        assert row["slope"] == pytest.approx(axis[1] / axis[0], rel=1e-6)
        assert row["intercept"] == pytest.approx(new.mean() - row["slope"] * old.mean(), rel=1e-6, abs=1e-6)


@settings(max_examples=20)
@given(pairs=PAIRS)
def test_model_comparison_with_exchanged_models_has_the_inverse_line(prepared, pairs):
    forward = compare(prepared, pairs).loc[("erosion", "all", "all")]
    back = compare(prepared, [(joint, new, old) for joint, old, new in pairs]).loc[("erosion", "all", "all")]
    assert back["mean_shift"] == pytest.approx(-forward["mean_shift"], abs=1e-9)
    kappa = "quadratic_weighted_kappa"
    assert back[kappa] == pytest.approx(forward[kappa], nan_ok=True, abs=1e-9)
    if abs(np.cov([(old, new) for _, old, new in pairs], rowvar=False, ddof=0)[0, 1]) > 1e-9:
        assert back["slope"] == pytest.approx(1 / forward["slope"], rel=1e-6)


def test_model_comparison_excludes_scores_from_different_numbers_of_joints(prepared):
    with prepared.connect() as connection:
        insert(connection, 0, "hand_left_1", "old", 10.0)
        insert(connection, 0, "hand_left_1", "new", 30.0)
        connection.execute(sa.text("UPDATE scoring.rau_prediction SET n_scored = 2 WHERE model_version = 'old'"))
        publish_model_comparison(connection, "old", "new", RUN)
        measures = connection.scalars(sa.text("SELECT DISTINCT measure FROM analytics.model_comparison")).all()
        connection.rollback()
    assert measures == ["erosion"]
