-- Title: Compare two models
-- Description: Computes the rows of analytics.model_comparison over every joint image that both models have scored, and
-- over every radiograph and visit with a current Rau score by both models from the same number of joints. The header of
-- migrations/baseline/060_analytics.sql has the sources of the formulas.
-- Parameters: old_model, new_model; joints and kinds, arrays of the joint columns and their kinds.

WITH pair AS (
    SELECT
        'erosion' AS measure, catalogue.kind AS joint_kind,
        old.predicted_grade AS old_grade, new.predicted_grade AS new_grade,
        cast(old.predicted_percent AS double precision) AS old_value,
        cast(new.predicted_percent AS double precision) AS new_value
    FROM scoring.joint_prediction AS old
    INNER JOIN scoring.joint_prediction AS new ON old.image_sha256 = new.image_sha256
    INNER JOIN scoring.model_version AS old_model
        ON old.model_version = old_model.version AND old.preprocessing_version = old_model.preprocessing_version
    INNER JOIN scoring.model_version AS new_model
        ON new.model_version = new_model.version AND new.preprocessing_version = new_model.preprocessing_version
    INNER JOIN unnest(cast(:joints AS text[]), cast(:kinds AS text[])) AS catalogue (joint, kind)
        ON old.joint = catalogue.joint
    WHERE old.model_version = :old_model AND new.model_version = :new_model
    UNION ALL
    SELECT
        'rau_' || old.scope AS measure, NULL AS joint_kind,
        NULL AS old_grade, NULL AS new_grade,
        old.rau_expected AS old_value, new.rau_expected AS new_value
    FROM scoring.rau_prediction AS old
    INNER JOIN scoring.rau_prediction AS new
        ON old.scope = new.scope
        AND old.patient_id = new.patient_id
        AND old.visit_date = new.visit_date
        AND old.sop_iuid = new.sop_iuid
        AND old.n_scored = new.n_scored
    INNER JOIN scoring.model_version AS old_model
        ON old.model_version = old_model.version AND old.preprocessing_version = old_model.preprocessing_version
    INNER JOIN scoring.model_version AS new_model
        ON new.model_version = new_model.version AND new.preprocessing_version = new_model.preprocessing_version
    WHERE
        old.model_version = :old_model
        AND new.model_version = :new_model
        AND old.is_current
        AND new.is_current
),

moments AS (
    SELECT
        pair.measure,
        CASE WHEN grouping(pair.joint_kind) = 1 THEN 'all' ELSE pair.joint_kind END AS joint_kind,
        CASE WHEN grouping(pair.old_grade) = 1 THEN 'all' ELSE cast(pair.old_grade AS text) END AS old_grade,
        count(*) AS n,
        avg(pair.new_value - pair.old_value) AS mean_shift,
        stddev_samp(pair.new_value - pair.old_value) AS sd_shift,
        avg(pair.old_value) AS old_mean, avg(pair.new_value) AS new_mean,
        var_pop(pair.old_value) AS old_variance, var_pop(pair.new_value) AS new_variance,
        covar_pop(pair.old_value, pair.new_value) AS covariance,
        cast(avg(cast(pair.old_grade = pair.new_grade AS integer)) AS double precision) AS same_grade,
        cast(avg(cast(abs(pair.old_grade - pair.new_grade) <= 1 AS integer)) AS double precision) AS within_one_grade,
        cast(
            avg((pair.old_grade - pair.new_grade) * (pair.old_grade - pair.new_grade)) AS double precision
        ) AS disagreement,
        -- Expected mean squared distance of two independent grades.
        cast(
            avg(pair.old_grade * pair.old_grade) + avg(pair.new_grade * pair.new_grade)
            - 2 * avg(pair.old_grade) * avg(pair.new_grade) AS double precision
        ) AS disagreement_by_chance,
        count(*) FILTER (WHERE pair.new_grade = 0) AS n_new_grade_0,
        count(*) FILTER (WHERE pair.new_grade = 1) AS n_new_grade_1,
        count(*) FILTER (WHERE pair.new_grade = 2) AS n_new_grade_2,
        count(*) FILTER (WHERE pair.new_grade = 3) AS n_new_grade_3,
        count(*) FILTER (WHERE pair.new_grade = 4) AS n_new_grade_4,
        count(*) FILTER (WHERE pair.new_grade = 5) AS n_new_grade_5
    FROM pair
    GROUP BY pair.measure, cube (pair.joint_kind, pair.old_grade)
    HAVING pair.measure = 'erosion' OR grouping(pair.joint_kind, pair.old_grade) = 3
),

line AS (
    SELECT
        moments.*,
        CASE
            WHEN moments.old_grade = 'all'
                THEN
                    (
                        moments.new_variance - moments.old_variance
                        + sqrt((moments.new_variance - moments.old_variance) ^ 2 + 4 * moments.covariance ^ 2)
                    ) / nullif(2 * moments.covariance, 0)
        END AS slope
    FROM moments
)

SELECT
    line.measure, line.joint_kind, line.old_grade, line.n,
    line.mean_shift, line.sd_shift,
    line.mean_shift - 1.96 * line.sd_shift AS loa_low, line.mean_shift + 1.96 * line.sd_shift AS loa_high,
    line.slope, line.new_mean - line.slope * line.old_mean AS intercept,
    line.same_grade, line.within_one_grade,
    CASE WHEN line.old_grade = 'all' THEN 1 - line.disagreement / nullif(line.disagreement_by_chance, 0) END
        AS quadratic_weighted_kappa,
    CASE WHEN line.measure = 'erosion' THEN line.n_new_grade_0 END AS n_new_grade_0,
    CASE WHEN line.measure = 'erosion' THEN line.n_new_grade_1 END AS n_new_grade_1,
    CASE WHEN line.measure = 'erosion' THEN line.n_new_grade_2 END AS n_new_grade_2,
    CASE WHEN line.measure = 'erosion' THEN line.n_new_grade_3 END AS n_new_grade_3,
    CASE WHEN line.measure = 'erosion' THEN line.n_new_grade_4 END AS n_new_grade_4,
    CASE WHEN line.measure = 'erosion' THEN line.n_new_grade_5 END AS n_new_grade_5
FROM line
