-- Title: Open quarantine
-- Description: What was refused or noted and has not been accepted, mended or taken away since, with what to do
-- about it.

CREATE VIEW analyst.quarantine_open AS
SELECT
    quarantine.batch_date,
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

COMMENT ON VIEW analyst.quarantine_open IS 'Rows and images that broke a rule and were not accepted since, one row for each rule broken.';
COMMENT ON COLUMN analyst.quarantine_open.batch_date IS 'Date of the landing folder.';
COMMENT ON COLUMN analyst.quarantine_open.dataset IS 'consultations, readings, disease_activity or images.';
COMMENT ON COLUMN analyst.quarantine_open.rule IS 'The rule, such as images.decodes.';
COMMENT ON COLUMN analyst.quarantine_open.severity IS 'critical: excluded; warning, info: kept and noted.';
COMMENT ON COLUMN analyst.quarantine_open.kept IS 'Whether the row was used all the same.';
COMMENT ON COLUMN analyst.quarantine_open.record_id IS 'Key of the record, as far as it could be read.';
COMMENT ON COLUMN analyst.quarantine_open.source_file IS 'File, relative to the landing zone.';
COMMENT ON COLUMN analyst.quarantine_open.row_number IS 'Line of the file, the header being 1; 0 for an image.';
COMMENT ON COLUMN analyst.quarantine_open.reason IS 'What is wrong.';
COMMENT ON COLUMN analyst.quarantine_open.remedy IS 'What a person can do about it.';
COMMENT ON COLUMN analyst.quarantine_open.row_key IS 'Names the landed row.';
COMMENT ON COLUMN analyst.quarantine_open.run_id IS 'Run that refused it.';
COMMENT ON COLUMN analyst.quarantine_open.quarantined_at IS 'When.';
