-- Title: Runs, books, models and promotions
-- Description: A run is one attempt at one night. Its rows are only ever added, because the scheduler's own record is
-- no audit trail: Airflow reuses the row of a run that is cleared or backfilled. The books say for every landed row
-- what became of it: landed = scored + already scored + quarantined for images, and
-- landed = new + updated + unchanged + superseded + quarantined for tables.

CREATE TABLE scoring.model_version (
    version text PRIMARY KEY CHECK (version <> ''),
    architecture text NOT NULL,
    input_size integer NOT NULL CHECK (input_size > 0),
    preprocessing_version text NOT NULL CHECK (preprocessing_version <> ''),
    weights_sha256 text NOT NULL CHECK (weights_sha256 ~ '^[0-9a-f]{64}$'),
    manifest jsonb NOT NULL,
    trained_on_synthetic boolean NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE scoring.model_version IS 'Every model that ever scored or was compared; never changed afterwards.';
COMMENT ON COLUMN scoring.model_version.version IS 'Name of the model, as in the model store.';
COMMENT ON COLUMN scoring.model_version.architecture IS 'Name of the network''s architecture.';
COMMENT ON COLUMN scoring.model_version.input_size IS 'Side of the square input image, in pixels.';
COMMENT ON COLUMN scoring.model_version.preprocessing_version IS 'How bytes become the network''s input; part of a prediction''s key.';
COMMENT ON COLUMN scoring.model_version.weights_sha256 IS 'SHA-256 of the weights file, in hex.';
COMMENT ON COLUMN scoring.model_version.manifest IS 'The model''s manifest: data, metrics, file hashes, intended use.';
COMMENT ON COLUMN scoring.model_version.trained_on_synthetic IS 'True if any training image was a synthetic phantom: its figures say nothing about patients.';
COMMENT ON COLUMN scoring.model_version.registered_at IS 'When the model became known to this warehouse.';

CREATE TABLE scoring.promotion (
    promotion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version text NOT NULL REFERENCES scoring.model_version (version),
    promoted_at timestamptz NOT NULL DEFAULT now(),
    promoted_by text NOT NULL CHECK (promoted_by <> ''),
    reason text NOT NULL CHECK (reason <> '')
);

COMMENT ON TABLE scoring.promotion IS 'Who made which model the champion, when and why. The last row is the champion. Append-only.';
COMMENT ON COLUMN scoring.promotion.promotion_id IS 'Running number; the largest one counts.';
COMMENT ON COLUMN scoring.promotion.version IS 'The model that became champion.';
COMMENT ON COLUMN scoring.promotion.promoted_at IS 'When.';
COMMENT ON COLUMN scoring.promotion.promoted_by IS 'Who decided it.';
COMMENT ON COLUMN scoring.promotion.reason IS 'Why, in the words of who decided.';

CREATE TABLE scoring.run (
    run_id uuid PRIMARY KEY,
    batch_date date NOT NULL,
    job text NOT NULL DEFAULT 'nightly_scoring' CHECK (job <> ''),
    started_at timestamptz NOT NULL DEFAULT now(),
    trigger text NOT NULL,
    triggered_by text NOT NULL,
    code_revision text NOT NULL,
    model_version text REFERENCES scoring.model_version (version)
);

CREATE INDEX run_by_batch_date ON scoring.run (batch_date, started_at);

COMMENT ON TABLE scoring.run IS 'One attempt of the job at one night. Append-only.';
COMMENT ON COLUMN scoring.run.run_id IS 'Names the attempt; every row that it wrote carries it.';
COMMENT ON COLUMN scoring.run.batch_date IS 'The night: date of the landing folder.';
COMMENT ON COLUMN scoring.run.job IS 'Which job: nightly_scoring, rescoring, ...';
COMMENT ON COLUMN scoring.run.started_at IS 'When the attempt began.';
COMMENT ON COLUMN scoring.run.trigger IS 'The scheduler''s id of the run, or cli.';
COMMENT ON COLUMN scoring.run.triggered_by IS 'Who or what started it: a user''s name, schedule, backfill.';
COMMENT ON COLUMN scoring.run.code_revision IS 'Revision of this software, from git or baked into the image.';
COMMENT ON COLUMN scoring.run.model_version IS 'The model that the run scores with; null if the job scores nothing.';

CREATE TABLE scoring.run_count (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    dataset text NOT NULL CHECK (dataset IN ('consultations', 'readings', 'disease_activity', 'images')),
    outcome text NOT NULL CHECK (
        outcome IN (
            'landed', 'new', 'updated', 'unchanged', 'superseded', 'scored', 'already_scored', 'quarantined'
        )
    ),
    rule text NOT NULL DEFAULT '',
    n bigint NOT NULL CHECK (n >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, dataset, recorded_at, outcome, rule),
    CHECK (rule = '' OR outcome = 'quarantined')
);

COMMENT ON TABLE scoring.run_count IS 'The books of a run: how many rows of each dataset met which end. Append-only.';
COMMENT ON COLUMN scoring.run_count.run_id IS 'The attempt.';
COMMENT ON COLUMN scoring.run_count.dataset IS 'consultations, readings, disease_activity or images.';
COMMENT ON COLUMN scoring.run_count.outcome IS 'landed, or what became of it. superseded: a newer folder''s row was there already.';
COMMENT ON COLUMN scoring.run_count.rule IS 'The first critical rule that the rows broke, if quarantined; empty otherwise.';
COMMENT ON COLUMN scoring.run_count.n IS 'Number of rows (images: files).';
COMMENT ON COLUMN scoring.run_count.recorded_at IS 'Transaction that wrote the lines of one dataset. A step that is cleared and run again writes new ones; the latest count.';

CREATE TABLE scoring.run_result (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status text NOT NULL CHECK (status IN ('succeeded', 'failed')),
    message text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, finished_at)
);

COMMENT ON TABLE scoring.run_result IS 'How a run ended; a run without a row here is running or was killed. A run that was cleared and ended again has another row, the latest counts. Append-only.';
COMMENT ON COLUMN scoring.run_result.run_id IS 'The attempt.';
COMMENT ON COLUMN scoring.run_result.finished_at IS 'When it ended.';
COMMENT ON COLUMN scoring.run_result.status IS 'succeeded or failed.';
COMMENT ON COLUMN scoring.run_result.message IS 'What went wrong, for the operator; holds no values of patients.';
