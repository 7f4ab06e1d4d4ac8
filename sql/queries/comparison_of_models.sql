-- Title: Comparison of the champion with the previous model
-- Description: Helps to interpret results from before the champion was activated. Rau scores: as_if_20 and as_if_60 are
-- 20 and 60 points of the previous model on the scale of the champion. Joints: the rows of single grades form the table
-- of grades, previous model by champion; a shift within one grade includes regression to the mean.

SELECT
    comparison.old_model, comparison.new_model, comparison.measure, comparison.old_grade, comparison.n,
    round(comparison.mean_shift::numeric, 2) AS mean_shift,
    round(comparison.loa_low::numeric, 2) AS loa_low, round(comparison.loa_high::numeric, 2) AS loa_high,
    round((comparison.intercept + comparison.slope * 20)::numeric, 1) AS as_if_20,
    round((comparison.intercept + comparison.slope * 60)::numeric, 1) AS as_if_60,
    round(comparison.same_grade::numeric, 3) AS same_grade,
    round(comparison.within_one_grade::numeric, 3) AS within_one_grade,
    round(comparison.quadratic_weighted_kappa::numeric, 3) AS quadratic_weighted_kappa,
    comparison.n_new_grade_0, comparison.n_new_grade_1, comparison.n_new_grade_2,
    comparison.n_new_grade_3, comparison.n_new_grade_4, comparison.n_new_grade_5,
    comparison.trained_on_synthetic
FROM analyst.model_comparison AS comparison
WHERE comparison.is_champion AND comparison.joint_kind = 'all'
ORDER BY comparison.old_model ASC, comparison.measure DESC, comparison.old_grade DESC;
