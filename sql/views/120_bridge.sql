-- Title: Bridge between two models
-- Description: What changed when a new champion took over: scores of both models on the same images, new minus old.
-- A series that was cut by the change is made comparable with it: a Rau score s of the former model corresponds to
-- intercept + slope * s of the new one. For 95 % of single scores the difference lies within the limits of agreement.
-- Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310; joints of one patient are alike, so they hold for
-- joints and not for a patient's mean. Regression: Deming, equal error variances (Linnet K. Clin Chem 1993;39:424-432).
-- Kappa: Cohen J. Psychol Bull 1968;70:213-220.

CREATE VIEW analyst.model_comparison AS
SELECT
    bridge.old_model,
    bridge.new_model,
    bridge.measure,
    bridge.joint_kind,
    bridge.old_grade,
    bridge.n,
    bridge.mean_shift,
    bridge.sd_shift,
    bridge.loa_low,
    bridge.loa_high,
    bridge.slope,
    bridge.intercept,
    bridge.same_grade,
    bridge.within_one_grade,
    bridge.quadratic_weighted_kappa,
    bridge.n_new_grade_0,
    bridge.n_new_grade_1,
    bridge.n_new_grade_2,
    bridge.n_new_grade_3,
    bridge.n_new_grade_4,
    bridge.n_new_grade_5,
    coalesce(bridge.new_model = champion.model_version, FALSE) AS is_champion,
    old_version.trained_on_synthetic OR new_version.trained_on_synthetic AS trained_on_synthetic,
    bridge.computed_at
FROM analytics.model_comparison
INNER JOIN scoring.model_version AS old_version ON bridge.old_model = old_version.version
INNER JOIN scoring.model_version AS new_version ON bridge.new_model = new_version.version
LEFT JOIN analyst.champion ON bridge.new_model = champion.model_version;

COMMENT ON VIEW analyst.model_comparison IS 'How the scores of a new champion differ from those of the former one, on everything that both have scored.';
COMMENT ON COLUMN analyst.model_comparison.old_model IS 'The former champion.';
COMMENT ON COLUMN analyst.model_comparison.new_model IS 'The model that took its place.';
COMMENT ON COLUMN analyst.model_comparison.measure IS 'erosion: a joint''s expected eroded share, percent; rau_radiograph, rau_visit: expected Rau score of a radiograph or visit, 0-190 points.';
COMMENT ON COLUMN analyst.model_comparison.joint_kind IS 'PIP, MCP, IP, MTP, wrist, or all of them.';
COMMENT ON COLUMN analyst.model_comparison.old_grade IS 'Ratingen grade by the former model, or all. A shift within one grade holds regression to the mean as well.';
COMMENT ON COLUMN analyst.model_comparison.n IS 'Number of joint images, radiographs or visits that both models have scored; Rau scores only where from equally many joints.';
COMMENT ON COLUMN analyst.model_comparison.mean_shift IS 'Mean of new minus old, in the unit of measure.';
COMMENT ON COLUMN analyst.model_comparison.sd_shift IS 'Standard deviation of new minus old, in the unit of measure; null for a single pair.';
COMMENT ON COLUMN analyst.model_comparison.loa_low IS 'Lower limit of agreement, in the unit of measure: mean_shift - 1.96 sd_shift.';
COMMENT ON COLUMN analyst.model_comparison.loa_high IS 'Upper limit of agreement, in the unit of measure: mean_shift + 1.96 sd_shift.';
COMMENT ON COLUMN analyst.model_comparison.slope IS 'Slope, without unit, of Deming''s regression of new on old, for equal error variances; null within one grade of the former model.';
COMMENT ON COLUMN analyst.model_comparison.intercept IS 'Its intercept, in the unit of measure: new = intercept + slope * old.';
COMMENT ON COLUMN analyst.model_comparison.same_grade IS 'Share of joints with the same grade by both, 0 to 1; null for Rau scores.';
COMMENT ON COLUMN analyst.model_comparison.within_one_grade IS 'Share of joints at most one grade apart, 0 to 1; null for Rau scores.';
COMMENT ON COLUMN analyst.model_comparison.quadratic_weighted_kappa IS 'Agreement of the grades beyond chance, -1 to 1, weighted by squared distance; null for Rau scores, within one grade of the former model, and where all grades are one.';
COMMENT ON COLUMN analyst.model_comparison.n_new_grade_0 IS 'Number of joints with grade 0 by the new model; null for Rau scores. The rows by old_grade are the table of grades, old by new.';
COMMENT ON COLUMN analyst.model_comparison.n_new_grade_1 IS 'Number of joints with grade 1 by the new model.';
COMMENT ON COLUMN analyst.model_comparison.n_new_grade_2 IS 'Number of joints with grade 2 by the new model.';
COMMENT ON COLUMN analyst.model_comparison.n_new_grade_3 IS 'Number of joints with grade 3 by the new model.';
COMMENT ON COLUMN analyst.model_comparison.n_new_grade_4 IS 'Number of joints with grade 4 by the new model.';
COMMENT ON COLUMN analyst.model_comparison.n_new_grade_5 IS 'Number of joints with grade 5 by the new model.';
COMMENT ON COLUMN analyst.model_comparison.is_champion IS 'True if the new model is the one that the other views show today.';
COMMENT ON COLUMN analyst.model_comparison.trained_on_synthetic IS 'True: one of the models was trained on synthetic phantoms; the figures say nothing about patients.';
COMMENT ON COLUMN analyst.model_comparison.computed_at IS 'When the figures were last changed.';
