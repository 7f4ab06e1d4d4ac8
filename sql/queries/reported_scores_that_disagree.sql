-- Title: Reported scores that differ from their components
-- Description: Number of reported scores that agree with their components or joint readings, and likely causes of the
-- others. A frequent cause indicates a fault of the export (unit of CRP, wrong form); a rare one indicates data entry
-- errors. Remove the grouping to list each row. The query counts visits of the year before the last batch.

SELECT
    compared.score, compared.agrees, coalesce(compared.likely_cause, 'equal') AS likely_cause,
    count(*) AS n,
    round(max(abs(compared.difference))::numeric, 2) AS largest_difference
FROM analyst.score_check AS compared
WHERE
    compared.visit_date > (
        SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
GROUP BY compared.score, compared.agrees, compared.likely_cause
ORDER BY compared.score ASC, n DESC;
