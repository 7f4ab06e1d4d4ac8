-- Title: Progression of joint damage
-- Description: Change of the Rau score between consecutive visits of a patient, and whether it exceeds the smallest
-- detectable change of human readings, 6.3 of 190 points (3.3 %; Rau & Wassenberg, in: Bildgebende Verfahren in der
-- Rheumatologie, 2007). Improvements are treated like progressions. Predicted scores are those of the champion only, so
-- a change of model cannot look like a change of the patient; reported scores form a separate series. Probabilities
-- (predicted scores only) refer to a true change above 0, above 6.3 or below -6.3 points. They assume that each score
-- is normally distributed around its expected value with standard deviation (rau_q95 - rau_q05) / (2 * 1.645), and that
-- the errors of two visits are independent. An error common to both visits would cancel in the change, so the
-- probabilities are conservative. Sources of error outside the intervals, such as a different exposure, are not
-- included. change_class is null if the visits have different numbers of scored joints, because a new value may be a
-- new joint and not an erosion. 6.3 points apply to 38 joints; a score extrapolated from ten is noisier.

-- Reads the tables and not rau_by_visit, so that the scores come from an index in order and no radiographs are read.
CREATE VIEW analyst.rau_progression AS
WITH predicted AS (
    SELECT
        score.patient_id, score.visit_date,
        lag(score.visit_date) OVER visits AS date_before,
        score.rau_expected AS rau, lag(score.rau_expected) OVER visits AS rau_before,
        (score.rau_q95 - score.rau_q05) / (2 * 1.6448536) AS sd,
        lag((score.rau_q95 - score.rau_q05) / (2 * 1.6448536)) OVER visits AS sd_before,
        score.n_scored, lag(score.n_scored) OVER visits AS n_scored_before, score.extrapolated,
        score.model_version,
        (SELECT champion.trained_on_synthetic FROM analyst.champion) AS trained_on_synthetic
    FROM scoring.rau_prediction AS score
    WHERE
        score.scope = 'visit'
        AND score.is_current
        AND score.model_version = (SELECT champion.model_version FROM analyst.champion)
        AND score.preprocessing_version = (SELECT champion.preprocessing_version FROM analyst.champion)
    WINDOW visits AS (PARTITION BY score.patient_id ORDER BY score.visit_date)
),

latest_reported AS (
    SELECT DISTINCT ON (consultation.patient_id, consultation.visit_date)
        consultation.patient_id, consultation.visit_date, consultation.reported_rau
    FROM registry.consultation
    WHERE consultation.reported_rau IS NOT NULL
    ORDER BY
        consultation.patient_id ASC, consultation.visit_date ASC, consultation.read_on DESC NULLS LAST,
        consultation.id_x DESC
),

reported AS (
    SELECT
        score.patient_id, score.visit_date,
        lag(score.visit_date) OVER visits AS date_before,
        score.reported_rau AS rau, lag(score.reported_rau) OVER visits AS rau_before,
        NULL::double precision AS sd, NULL::double precision AS sd_before,
        NULL::smallint AS n_scored, NULL::smallint AS n_scored_before, NULL::boolean AS extrapolated,
        NULL AS model_version, NULL::boolean AS trained_on_synthetic
    FROM latest_reported AS score
    WINDOW visits AS (PARTITION BY score.patient_id ORDER BY score.visit_date)
),

-- The names are added after the window functions, so that a query for one series does not compute the other.
consecutive AS (
    SELECT 'predicted_rau' AS damage, predicted.*
    FROM predicted
    UNION ALL
    SELECT 'reported_rau' AS damage, reported.*
    FROM reported
),

changed AS (
    SELECT
        consecutive.*,
        consecutive.rau - consecutive.rau_before AS rau_change,
        (consecutive.visit_date - consecutive.date_before) / 365.25 AS years,
        -- The constant avoids a division by 0 if both intervals have no width.
        sqrt(consecutive.sd ^ 2 + consecutive.sd_before ^ 2 + 1e-12) AS change_sd,
        coalesce(consecutive.n_scored = consecutive.n_scored_before, TRUE) AS same_joint_count,
        6.3 AS detectable
    FROM consecutive
    WHERE consecutive.date_before IS NOT NULL
)

SELECT
    changed.patient_id, changed.damage,
    changed.date_before AS from_date, changed.visit_date AS to_date,
    changed.years::double precision AS years,
    changed.rau_before, changed.rau AS rau_after, changed.rau_change,
    (changed.rau_change / changed.years)::double precision AS change_per_year,
    changed.detectable::double precision AS smallest_detectable_change,
    CASE
        WHEN NOT changed.same_joint_count THEN NULL
        WHEN changed.rau_change > changed.detectable THEN 'progression'
        WHEN changed.rau_change < -changed.detectable THEN 'improvement'
        ELSE 'within error'
    END AS change_class,
    analytics.normal_cdf(changed.rau_change / changed.change_sd) AS probability_of_progression,
    analytics.normal_cdf((changed.rau_change - changed.detectable) / changed.change_sd)
        AS probability_of_detectable_progression,
    analytics.normal_cdf((-changed.detectable - changed.rau_change) / changed.change_sd)
        AS probability_of_detectable_improvement,
    changed.n_scored_before, changed.n_scored AS n_scored_after,
    changed.same_joint_count, changed.extrapolated,
    changed.model_version, changed.trained_on_synthetic
FROM changed;

COMMENT ON VIEW analyst.rau_progression IS 'Change of the Rau score between consecutive visits of a patient, predicted and reported, with the smallest detectable change.';
COMMENT ON COLUMN analyst.rau_progression.rau_before IS 'Rau score at the earlier visit, 0-190 points (predicted: expected value).';
COMMENT ON COLUMN analyst.rau_progression.rau_after IS 'Rau score at the later visit, points.';
COMMENT ON COLUMN analyst.rau_progression.rau_change IS 'Later minus earlier, points; positive if damage increased.';
COMMENT ON COLUMN analyst.rau_progression.change_per_year IS 'rau_change divided by years, points per year; over a short time a small error becomes a large rate.';
COMMENT ON COLUMN analyst.rau_progression.smallest_detectable_change IS 'Smallest change that human readings can distinguish from error, points.';
COMMENT ON COLUMN analyst.rau_progression.change_class IS 'progression, improvement or within error, by the smallest detectable change; null if the visits have different numbers of scored joints.';
COMMENT ON COLUMN analyst.rau_progression.probability_of_progression IS 'Probability that the true change is above 0, from both predicted distributions; null for reported scores.';
COMMENT ON COLUMN analyst.rau_progression.probability_of_detectable_progression IS 'Probability that the true change is above the smallest detectable change; null for reported scores.';
COMMENT ON COLUMN analyst.rau_progression.probability_of_detectable_improvement IS 'Probability that the true change is a decrease beyond the smallest detectable change; null for reported scores.';
COMMENT ON COLUMN analyst.rau_progression.n_scored_before IS 'Number of joints scored at the earlier visit; null for reported scores.';
COMMENT ON COLUMN analyst.rau_progression.n_scored_after IS 'Number of joints scored at the later visit; null for reported scores.';
COMMENT ON COLUMN analyst.rau_progression.same_joint_count IS 'True if both visits have the same number of scored joints; always true for reported scores, which do not name their joints.';
COMMENT ON COLUMN analyst.rau_progression.extrapolated IS 'True if fewer than 32 joints were scored at the later visit; null for reported scores.';
