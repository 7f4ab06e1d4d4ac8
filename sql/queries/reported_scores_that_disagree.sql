-- Title: Reported scores that their parts do not give
-- Description: How many reported scores agree with their components or joint readings, and why the others may not. A
-- cause that takes many rows is a fault of the export (unit of CRP, wrong form), one that takes a few is a slip of the
-- hand. Drop the grouping to see each row. Counted are visits of the year before the last night.

SELECT
    one_score.score,
    one_score.agrees,
    coalesce(one_score.likely_cause, 'equal') AS likely_cause,
    count(*) AS n,
    round(max(abs(one_score.difference))::numeric, 2) AS largest_difference
FROM analyst.score_check AS one_score
WHERE
    one_score.visit_date > (
        SELECT max(night.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE night.job = 'nightly_scoring'
    )
GROUP BY one_score.score, one_score.agrees, one_score.likely_cause
ORDER BY one_score.score ASC, n DESC;
