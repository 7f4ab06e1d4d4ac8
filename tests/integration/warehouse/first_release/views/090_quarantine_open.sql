-- Title: Open quarantine
-- Description: What was refused or noted and has not been accepted, mended or taken away since, with what to do
-- about it.

CREATE VIEW analyst.quarantine_open AS
SELECT
    quarantine.folder_date,
    quarantine.dataset,
    quarantine.rule,
    quarantine.severity,
    quarantine.kept,
    quarantine.record_id,
    quarantine.source_file,
    quarantine.row_number,
    quarantine.reason,
    quarantine.remedy,
    quarantine.row_key,
    quarantine.run_id,
    quarantine.quarantined_at
FROM scoring.quarantine
WHERE quarantine.resolved_at IS NULL;
