-- Title: What was quarantined last night, and why
-- Description: Counts first, so that one broken export is seen as one problem; drop the grouping to see each row.

SELECT
    quarantine.folder_date,
    quarantine.dataset,
    quarantine.rule,
    quarantine.severity,
    count(*) AS n,
    min(quarantine.reason) AS reason,
    min(quarantine.remedy) AS remedy,
    min(quarantine.source_file) AS for_example
FROM analyst.quarantine_open AS quarantine
WHERE quarantine.folder_date = (SELECT max(night.batch_date) FROM analyst.night)
GROUP BY quarantine.folder_date, quarantine.dataset, quarantine.rule, quarantine.severity
ORDER BY n DESC, quarantine.rule ASC;
