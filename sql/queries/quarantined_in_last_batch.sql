-- Title: Quarantined rows of the last batch
-- Description: Rows that runs of the last batch quarantined or flagged and that are still open, including late files of
-- earlier batches. They are grouped, so that a broken export appears as one problem; remove the grouping to list each
-- row.

SELECT
    quarantine.batch_date, quarantine.dataset, quarantine.rule, quarantine.severity, count(*) AS n,
    min(quarantine.reason) AS reason, min(quarantine.remedy) AS remedy,
    min(quarantine.source_file) AS for_example
FROM analyst.quarantine_open AS quarantine
WHERE
    quarantine.run_id IN (
        SELECT latest.run_id
        FROM analyst.run_reconciliation AS latest
        WHERE
            latest.job = 'nightly_scoring'
            AND latest.batch_date = (
                SELECT max(newest.batch_date) FROM analyst.run_reconciliation AS newest
                WHERE newest.job = 'nightly_scoring'
            )
    )
GROUP BY quarantine.batch_date, quarantine.dataset, quarantine.rule, quarantine.severity
ORDER BY n DESC, quarantine.rule ASC;
