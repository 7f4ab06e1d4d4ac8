-- Title: Agreement between readers, and between readers and the model
-- Description: The model should agree with readers about as well as readers agree with each other. Human-human rows
-- exist only if radiographs were read more than once. Results from fewer than 5 patients are suppressed. The query
-- shows radiographs from the year of the last batch; use another year, or `visit_year IS NULL` for all years together.

SELECT
    agreement.visit_year, agreement.comparison, agreement.joint_kind,
    agreement.n_pairs, agreement.n_patients, agreement.suppressed,
    round(agreement.same_grade::numeric, 3) AS same_grade,
    round(agreement.within_one_grade::numeric, 3) AS within_one_grade,
    round(agreement.quadratic_weighted_kappa::numeric, 3) AS quadratic_weighted_kappa,
    round(agreement.mean_difference::numeric, 2) AS mean_difference,
    round(agreement.loa_low::numeric, 1) AS loa_low, round(agreement.loa_high::numeric, 1) AS loa_high,
    agreement.trained_on_synthetic
FROM analyst.agreement
WHERE
    agreement.visit_year = (
        SELECT extract(YEAR FROM max(run_reconciliation.batch_date))::integer FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
ORDER BY agreement.comparison, agreement.joint_kind;
