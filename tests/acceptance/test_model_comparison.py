"""The comparison of two champions in SQL against the same figures in pandas and numpy."""

import numpy as np
import pandas as pd
import pytest

from scoring.clinical.joints import joint_by_column
from scoring.model_store.store import SHIPPED_VERSION
from scoring.training.evaluation.metrics import confusion_matrix, quadratic_weighted_kappa
from tests.lib.history import OTHER, frame


def test_model_comparison_equals_figures_computed_in_pandas(rescored):
    engine = rescored.engine
    comparison = frame(engine, "SELECT * FROM analyst.model_comparison")
    comparison = comparison.set_index(["measure", "joint_kind", "old_grade"])
    predictions = frame(
        engine,
        "SELECT image_sha256, model_version, joint, CAST(predicted_percent AS double precision) AS predicted_percent,"
        " predicted_grade FROM scoring.joint_prediction",
    )
    old, new = (predictions[predictions["model_version"] == model] for model in (SHIPPED_VERSION, OTHER))
    pairs = old.merge(new, on=["image_sha256", "joint"], suffixes=("_old", "_new"), validate="one_to_one")
    pairs["kind"] = [joint_by_column(joint).kind for joint in pairs["joint"]]
    assert (pairs["predicted_grade_old"] != pairs["predicted_grade_new"]).any(), "models that agree prove nothing"

    strata = {("erosion", "all", "all"): pairs}
    strata |= {("erosion", kind, "all"): rows for kind, rows in pairs.groupby("kind")}
    strata |= {("erosion", "all", str(grade)): rows for grade, rows in pairs.groupby("predicted_grade_old")}
    strata |= {("erosion", k, str(g)): rows for (k, g), rows in pairs.groupby(["kind", "predicted_grade_old"])}
    assert set(comparison.loc[["erosion"]].index) == set(strata)
    for stratum, rows in strata.items():
        found = comparison.loc[stratum]
        check_shift(found, rows["predicted_percent_old"], rows["predicted_percent_new"], with_line=stratum[2] == "all")
        confusion = confusion_matrix(rows["predicted_grade_old"], rows["predicted_grade_new"])
        distance = (rows["predicted_grade_old"] - rows["predicted_grade_new"]).abs()
        assert [found[f"n_new_grade_{grade}"] for grade in range(6)] == confusion.sum(axis=0).tolist()
        assert found["same_grade"] == pytest.approx((distance == 0).mean())
        assert found["within_one_grade"] == pytest.approx((distance <= 1).mean())
        kappa = quadratic_weighted_kappa(confusion) if stratum[2] == "all" else np.nan
        assert found["quadratic_weighted_kappa"] == pytest.approx(kappa, nan_ok=True)

    for scope in ("radiograph", "visit"):
        scores = frame(
            engine,
            "SELECT patient_id, visit_date, sop_iuid, model_version, rau_expected FROM scoring.rau_prediction"
            " WHERE scope = :scope",
            scope=scope,
        ).pivot_table(index=["patient_id", "visit_date", "sop_iuid"], columns="model_version", values="rau_expected")
        found = comparison.loc[(f"rau_{scope}", "all", "all")]
        check_shift(found, scores[SHIPPED_VERSION], scores[OTHER], with_line=True)
        assert pd.isna(found["same_grade"])
        assert pd.isna(found["n_new_grade_0"])
    assert len(comparison.drop("erosion", level="measure")) == 2


def check_shift(found, old, new, *, with_line):
    old, new = old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64)
    shift = new - old
    sd = shift.std(ddof=1) if len(shift) > 1 else np.nan
    expected = {
        "n": len(shift),
        "mean_shift": shift.mean(),
        "sd_shift": sd,
        "loa_low": shift.mean() - 1.96 * sd,
        "loa_high": shift.mean() + 1.96 * sd,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True, rel=1e-6), name
    if with_line:
        # Deming's line for equal error variances is the first principal axis.
        axis = np.linalg.svd(np.column_stack([old - old.mean(), new - new.mean()]), full_matrices=False)[2][0]
        assert found["slope"] == pytest.approx(axis[1] / axis[0], rel=1e-6)
        assert found["intercept"] == pytest.approx(new.mean() - found["slope"] * old.mean(), rel=1e-6, abs=1e-9)
    else:
        assert pd.isna(found["slope"])
