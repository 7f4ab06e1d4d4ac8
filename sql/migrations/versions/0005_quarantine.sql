-- Title: Quarantine
-- Description: Rows that broke a rule, with a reason and a remedy for the data steward; values of patients are not
-- repeated here. A row that is accepted later, or whose file was mended or taken away, is marked resolved and stays.
-- Which run met which row is kept beside it, because a second run of a night meets the same rows again without changing
-- them.

CREATE TABLE scoring.quarantine (
    row_key text NOT NULL,
    rule text NOT NULL CHECK (rule <> ''),
    dataset text NOT NULL CHECK (dataset IN ('consultations', 'readings', 'disease_activity', 'images')),
    record_id text,
    severity text NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
    kept boolean NOT NULL,
    reason text NOT NULL,
    remedy text NOT NULL,
    source_file text NOT NULL,
    row_number integer NOT NULL,
    batch_date date NOT NULL,
    content_sha256 text CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    resolved_by_run uuid REFERENCES scoring.run (run_id),
    resolved_at timestamptz,
    PRIMARY KEY (row_key, rule),
    CHECK ((resolved_by_run IS NULL) = (resolved_at IS NULL)),
    CHECK (kept = (severity <> 'critical'))
);

CREATE INDEX quarantine_open ON scoring.quarantine (batch_date, dataset) WHERE resolved_at IS NULL;

COMMENT ON TABLE scoring.quarantine IS 'Rows and images that broke a rule of validation, one row for each rule broken.';
COMMENT ON COLUMN scoring.quarantine.row_key IS 'Names the landed row: file:line, file:line:joint, or the image''s path.';
COMMENT ON COLUMN scoring.quarantine.rule IS 'The rule, such as images.decodes.';
COMMENT ON COLUMN scoring.quarantine.dataset IS 'consultations, readings, disease_activity or images.';
COMMENT ON COLUMN scoring.quarantine.record_id IS 'Key of the record, as far as it could be read: id_x, patient and date, radiograph and joint.';
COMMENT ON COLUMN scoring.quarantine.severity IS 'critical: excluded; warning, info: kept and noted.';
COMMENT ON COLUMN scoring.quarantine.kept IS 'Whether the row was used all the same.';
COMMENT ON COLUMN scoring.quarantine.reason IS 'What is wrong, in one sentence.';
COMMENT ON COLUMN scoring.quarantine.remedy IS 'What a person can do about it, in one sentence.';
COMMENT ON COLUMN scoring.quarantine.source_file IS 'File, relative to the landing zone.';
COMMENT ON COLUMN scoring.quarantine.row_number IS 'Line of the file, the header being 1; 0 for an image.';
COMMENT ON COLUMN scoring.quarantine.batch_date IS 'Date of the landing folder.';
COMMENT ON COLUMN scoring.quarantine.content_sha256 IS 'SHA-256 of the refused image, so that the same bytes are not judged again every night; null for records.';
COMMENT ON COLUMN scoring.quarantine.run_id IS 'Run that first refused the row, or refused it again after it had been resolved.';
COMMENT ON COLUMN scoring.quarantine.quarantined_at IS 'When that was.';
COMMENT ON COLUMN scoring.quarantine.resolved_by_run IS 'Run that accepted the row later, or found its file mended or gone; null while it is open.';
COMMENT ON COLUMN scoring.quarantine.resolved_at IS 'When that was.';

CREATE TABLE scoring.run_quarantine (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    row_key text NOT NULL,
    rule text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, row_key, rule, recorded_at),
    FOREIGN KEY (row_key, rule) REFERENCES scoring.quarantine (row_key, rule)
);

COMMENT ON TABLE scoring.run_quarantine IS 'Which run met which quarantined row. Append-only.';
COMMENT ON COLUMN scoring.run_quarantine.run_id IS 'The attempt.';
COMMENT ON COLUMN scoring.run_quarantine.row_key IS 'The landed row.';
COMMENT ON COLUMN scoring.run_quarantine.rule IS 'The rule that it broke.';
COMMENT ON COLUMN scoring.run_quarantine.recorded_at IS 'Transaction that wrote it down; tells the attempts of a run apart that was cleared and run again.';
