-- Title: From the former model to the champion
-- Description: How to read figures that were taken before the champion took over. Rau scores: as_if_20 and as_if_60 are
-- what 20 and 60 points of the former model are on the champion's scale. Joints: the rows of the single grades are the
-- table of grades, former model by champion; a shift within one grade holds regression to the mean as well.

SELECT
    bridge.old_model,
    bridge.new_model,
    bridge.measure,
    bridge.old_grade,
    bridge.n,
    round(bridge.mean_shift::numeric, 2) AS mean_shift,
    round(bridge.loa_low::numeric, 2) AS loa_low,
    round(bridge.loa_high::numeric, 2) AS loa_high,
    round((bridge.intercept + bridge.slope * 20)::numeric, 1) AS as_if_20,
    round((bridge.intercept + bridge.slope * 60)::numeric, 1) AS as_if_60,
    round(bridge.same_grade::numeric, 3) AS same_grade,
    round(bridge.within_one_grade::numeric, 3) AS within_one_grade,
    round(bridge.quadratic_weighted_kappa::numeric, 3) AS quadratic_weighted_kappa,
    bridge.n_new_grade_0,
    bridge.n_new_grade_1,
    bridge.n_new_grade_2,
    bridge.n_new_grade_3,
    bridge.n_new_grade_4,
    bridge.n_new_grade_5,
    bridge.trained_on_synthetic
FROM analyst.model_comparison AS bridge
WHERE bridge.is_champion AND bridge.joint_kind = 'all'
ORDER BY bridge.old_model ASC, bridge.measure DESC, bridge.old_grade DESC;
