-- Title: Quarantine of a run
-- Description: Rows that a run quarantined or flagged, including rows that an earlier run had already quarantined. Rows
-- that the run itself resolved are excluded: its first attempt found them, but its last one did not.
-- Parameters: run_id.

SELECT
    quarantine.dataset, quarantine.rule, quarantine.severity, quarantine.kept, quarantine.record_id,
    quarantine.source_file, quarantine.row_number, quarantine.batch_date,
    quarantine.reason, quarantine.remedy, quarantine.row_key
FROM scoring.quarantine
WHERE
    EXISTS (
        SELECT FROM scoring.run_quarantine AS found
        WHERE
            found.run_id = :run_id
            AND found.row_key = quarantine.row_key
            AND found.rule = quarantine.rule
    )
    AND quarantine.resolved_by_run IS DISTINCT FROM :run_id
ORDER BY
    quarantine.dataset, quarantine.severity, quarantine.rule, quarantine.source_file, quarantine.row_number,
    quarantine.row_key
