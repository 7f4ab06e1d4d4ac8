-- Title: What was quarantined last night, and why
-- Description: What the last night's runs refused or noted and is still open, late files of earlier folders among it.
-- Counts first, so that one broken export is seen as one problem; drop the grouping to see each row.

SELECT
    quarantine.batch_date,
    quarantine.dataset,
    quarantine.rule,
    quarantine.severity,
    count(*) AS n,
    min(quarantine.reason) AS reason,
    min(quarantine.remedy) AS remedy,
    min(quarantine.source_file) AS for_example
FROM analyst.quarantine_open AS quarantine
WHERE
    quarantine.run_id IN (
        SELECT night.run_id
        FROM analyst.run_reconciliation AS night
        WHERE
            night.job = 'nightly_scoring'
            AND night.batch_date = (
                SELECT max(newest.batch_date) FROM analyst.run_reconciliation AS newest
                WHERE newest.job = 'nightly_scoring'
            )
    )
GROUP BY quarantine.batch_date, quarantine.dataset, quarantine.rule, quarantine.severity
ORDER BY n DESC, quarantine.rule ASC;
