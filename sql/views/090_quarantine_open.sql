-- Title: Open quarantine
-- Description: Rows and images that broke a rule and have not been accepted, corrected or removed since, with the
-- recommended action.

CREATE VIEW analyst.quarantine_open AS
SELECT
    batch_date, dataset, rule, severity, kept, record_id,
    source_file, row_number, reason, remedy,
    row_key, run_id, quarantined_at
FROM scoring.quarantine
WHERE resolved_at IS NULL;

COMMENT ON VIEW analyst.quarantine_open IS 'Rows and images that broke a rule and are still open: one row per record and rule.';
COMMENT ON COLUMN analyst.quarantine_open.batch_date IS 'Date of the batch (landing folder).';
COMMENT ON COLUMN analyst.quarantine_open.rule IS 'Validation rule, such as images.decodes.';
COMMENT ON COLUMN analyst.quarantine_open.severity IS 'critical: the row was excluded; warning or info: the row was used.';
COMMENT ON COLUMN analyst.quarantine_open.kept IS 'True if the row was used although it broke the rule.';
COMMENT ON COLUMN analyst.quarantine_open.record_id IS 'Key of the record as far as it could be read.';
COMMENT ON COLUMN analyst.quarantine_open.source_file IS 'Source file, relative to the landing zone.';
COMMENT ON COLUMN analyst.quarantine_open.row_number IS 'Line of the file; the header is line 1; 0 for an image.';
COMMENT ON COLUMN analyst.quarantine_open.reason IS 'Problem, in one sentence.';
COMMENT ON COLUMN analyst.quarantine_open.remedy IS 'Recommended action, in one sentence.';
COMMENT ON COLUMN analyst.quarantine_open.row_key IS 'Key of the received row.';
COMMENT ON COLUMN analyst.quarantine_open.quarantined_at IS 'Time at which the row was quarantined.';
