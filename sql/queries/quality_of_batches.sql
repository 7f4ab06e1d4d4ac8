-- Title: Data quality of the last batches
-- Description: Rows received and quarantined, by rule, and missing values of new records, for the last two weeks,
-- newest batch first. If a proportion jumps from one batch to the next, ask the registry.

SELECT
    quality.batch_date, quality.dataset, quality.measure, quality.rule,
    quality.n, quality.n_total, round(quality.proportion::numeric, 3) AS proportion
FROM analyst.batch_quality AS quality
WHERE
    quality.n > 0
    AND quality.batch_date > (
        SELECT max(run_reconciliation.batch_date) - 14 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
ORDER BY quality.batch_date DESC, quality.dataset ASC, quality.measure ASC, quality.n DESC;
