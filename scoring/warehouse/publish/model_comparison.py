"""The bridge between two models: how scores of the new champion differ from those of the former one."""

from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.clinical.joints import REGISTRY_JOINTS
from scoring.warehouse.bulk import UpsertCounts, upsert

_KEY = ("old_model", "new_model", "measure", "joint_kind", "old_grade")
_GRADES = range(6)
_FIGURES = (
    "n",
    "mean_shift",
    "sd_shift",
    "loa_low",
    "loa_high",
    "slope",
    "intercept",
    "same_grade",
    "within_one_grade",
    "quadratic_weighted_kappa",
    *(f"n_new_grade_{grade}" for grade in _GRADES),
)

# Every joint image that both have scored, and every radiograph and visit whose Rau score both have made of equally many
# joints; as in the views, a radiograph counts where the registry has it now. Sources of the formulae: migration 0007.
_BRIDGE = """
WITH pair AS (
    SELECT
        'erosion' AS measure,
        catalogue.kind AS joint_kind,
        old.predicted_grade AS old_grade,
        new.predicted_grade AS new_grade,
        CAST(old.predicted_percent AS double precision) AS old_value,
        CAST(new.predicted_percent AS double precision) AS new_value
    FROM scoring.joint_prediction AS old
    INNER JOIN scoring.joint_prediction AS new USING (image_sha256)
    INNER JOIN scoring.model_version AS old_model
        ON old_model.version = old.model_version AND old_model.preprocessing_version = old.preprocessing_version
    INNER JOIN scoring.model_version AS new_model
        ON new_model.version = new.model_version AND new_model.preprocessing_version = new.preprocessing_version
    INNER JOIN unnest(CAST(:joints AS text[]), CAST(:kinds AS text[])) AS catalogue (joint, kind)
        ON catalogue.joint = old.joint
    WHERE old.model_version = :old_model AND new.model_version = :new_model
    UNION ALL
    SELECT 'rau_' || old.scope, NULL, NULL, NULL, old.rau_expected, new.rau_expected
    FROM scoring.rau_prediction AS old
    INNER JOIN scoring.rau_prediction AS new USING (scope, patient_id, visit_date, sop_iuid, n_scored)
    INNER JOIN scoring.model_version AS old_model
        ON old_model.version = old.model_version AND old_model.preprocessing_version = old.preprocessing_version
    INNER JOIN scoring.model_version AS new_model
        ON new_model.version = new.model_version AND new_model.preprocessing_version = new.preprocessing_version
    WHERE old.model_version = :old_model AND new.model_version = :new_model AND old.stands AND new.stands
),
moments AS (
    SELECT
        measure,
        CASE WHEN grouping(joint_kind) = 1 THEN 'all' ELSE joint_kind END AS joint_kind,
        CASE WHEN grouping(old_grade) = 1 THEN 'all' ELSE CAST(old_grade AS text) END AS old_grade,
        count(*) AS n,
        avg(new_value - old_value) AS mean_shift,
        stddev_samp(new_value - old_value) AS sd_shift,
        avg(old_value) AS old_mean,
        avg(new_value) AS new_mean,
        var_pop(old_value) AS old_variance,
        var_pop(new_value) AS new_variance,
        covar_pop(old_value, new_value) AS covariance,
        CAST(avg(CAST(old_grade = new_grade AS integer)) AS double precision) AS same_grade,
        CAST(avg(CAST(abs(old_grade - new_grade) <= 1 AS integer)) AS double precision) AS within_one_grade,
        CAST(avg((old_grade - new_grade) * (old_grade - new_grade)) AS double precision) AS disagreement,
        -- The mean squared distance of two grades drawn from the two models independently.
        CAST(
            avg(old_grade * old_grade) + avg(new_grade * new_grade) - 2 * avg(old_grade) * avg(new_grade)
            AS double precision
        ) AS disagreement_by_chance,
        count(*) FILTER (WHERE new_grade = 0) AS n_new_grade_0,
        count(*) FILTER (WHERE new_grade = 1) AS n_new_grade_1,
        count(*) FILTER (WHERE new_grade = 2) AS n_new_grade_2,
        count(*) FILTER (WHERE new_grade = 3) AS n_new_grade_3,
        count(*) FILTER (WHERE new_grade = 4) AS n_new_grade_4,
        count(*) FILTER (WHERE new_grade = 5) AS n_new_grade_5
    FROM pair
    GROUP BY measure, CUBE (joint_kind, old_grade)
    HAVING measure = 'erosion' OR grouping(joint_kind, old_grade) = 3
),
line AS (
    SELECT
        *,
        CASE WHEN old_grade = 'all' THEN
            (
                new_variance - old_variance
                + sqrt((new_variance - old_variance) ^ 2 + 4 * covariance ^ 2)
            ) / nullif(2 * covariance, 0)
        END AS slope
    FROM moments
)
SELECT
    measure,
    joint_kind,
    old_grade,
    n,
    mean_shift,
    sd_shift,
    mean_shift - 1.96 * sd_shift AS loa_low,
    mean_shift + 1.96 * sd_shift AS loa_high,
    slope,
    new_mean - slope * old_mean AS intercept,
    same_grade,
    within_one_grade,
    CASE WHEN old_grade = 'all' THEN 1 - disagreement / nullif(disagreement_by_chance, 0) END
    AS quadratic_weighted_kappa,
    CASE WHEN measure = 'erosion' THEN n_new_grade_0 END AS n_new_grade_0,
    CASE WHEN measure = 'erosion' THEN n_new_grade_1 END AS n_new_grade_1,
    CASE WHEN measure = 'erosion' THEN n_new_grade_2 END AS n_new_grade_2,
    CASE WHEN measure = 'erosion' THEN n_new_grade_3 END AS n_new_grade_3,
    CASE WHEN measure = 'erosion' THEN n_new_grade_4 END AS n_new_grade_4,
    CASE WHEN measure = 'erosion' THEN n_new_grade_5 END AS n_new_grade_5
FROM line
"""


def publish_model_comparison(
    connection: Connection, old_model: str, new_model: str, run_id: UUID | str | None
) -> UpsertCounts:
    """Compare two models on everything that both have scored, and write the bridge from the old to the new one.

    Args:
        connection: Inside the publishing transaction.
        old_model: The former champion.
        new_model: The model that takes its place.
        run_id: The rescoring; None if a promotion takes effect at once.

    Returns:
        new, updated and unchanged rows of `analytics.model_comparison`.
    """
    found = pd.read_sql_query(
        sa.text(_BRIDGE),
        connection,
        params={
            "old_model": old_model,
            "new_model": new_model,
            "joints": [joint.column for joint in REGISTRY_JOINTS],
            "kinds": [joint.kind for joint in REGISTRY_JOINTS],
        },
    )
    counts = dict.fromkeys((name for name in _FIGURES if name.startswith("n_")), "Int64")
    rows = found.astype(counts).assign(
        old_model=old_model,
        new_model=new_model,
        run_id=None if run_id is None else str(run_id),
        computed_at=pd.Timestamp.now(tz="UTC"),
    )
    return upsert(
        connection, "analytics.model_comparison", rows, key=_KEY, payload=_FIGURES, provenance=("run_id", "computed_at")
    )
