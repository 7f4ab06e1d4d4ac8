-- Title: Comparison of two models
-- Description: Differences between a new champion and the previous one on the same images, new minus old. The
-- regression converts scores across the change of model: a Rau score s of the old model corresponds to intercept +
-- slope * s of the new one. The differences of 95 % of single scores are within the limits of agreement. Joints of one
-- patient are correlated, so the limits apply to joints and not to the mean of a patient.
-- Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310. Deming regression with equal error variances:
-- Linnet K. Clin Chem 1993;39:424-432. Kappa: Cohen J. Psychol Bull 1968;70:213-220.

CREATE VIEW analyst.model_comparison AS
SELECT
    shift.old_model, shift.new_model, shift.measure, shift.joint_kind, shift.old_grade,
    shift.n, shift.mean_shift, shift.sd_shift, shift.loa_low, shift.loa_high,
    shift.slope, shift.intercept,
    shift.same_grade, shift.within_one_grade, shift.quadratic_weighted_kappa,
    shift.n_new_grade_0, shift.n_new_grade_1, shift.n_new_grade_2,
    shift.n_new_grade_3, shift.n_new_grade_4, shift.n_new_grade_5,
    coalesce(shift.new_model = champion.model_version, FALSE) AS is_champion,
    old_version.trained_on_synthetic OR new_version.trained_on_synthetic AS trained_on_synthetic,
    shift.computed_at
FROM analytics.model_comparison AS shift
INNER JOIN scoring.model_version AS old_version ON shift.old_model = old_version.version
INNER JOIN scoring.model_version AS new_version ON shift.new_model = new_version.version
LEFT JOIN analyst.champion ON shift.new_model = champion.model_version;

COMMENT ON VIEW analyst.model_comparison IS 'Differences between the scores of a new champion and the previous one, over all images, radiographs and visits that both have scored.';
COMMENT ON COLUMN analyst.model_comparison.is_champion IS 'True if the new model is the current champion.';
COMMENT ON COLUMN analyst.model_comparison.trained_on_synthetic IS 'True if one of the models was trained on synthetic phantoms; the results then say nothing about patients.';
