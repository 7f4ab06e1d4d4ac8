-- Title: Models, promotions and runs
-- Description: A run is one attempt of a job to process a batch. These tables are append-only, because the scheduler's
-- own record is not an audit trail: Airflow reuses the row of a run that is cleared or backfilled. Each received row is
-- counted a second time under its outcome:
--   images:    received = scored + already_scored + quarantined
--   tables:    received = new + updated + unchanged + superseded + quarantined
--   rescoring: planned = scored + already_scored + rejected
-- A promotion names the next champion; its activation makes the views show it. The history is rescored between the two,
-- so the views never show a partly rescored history.

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

COMMENT ON TABLE scoring.model_version IS 'Models that have scored images or were compared with the champion. Append-only.';
COMMENT ON COLUMN scoring.model_version.version IS 'Name of the model in the model store.';
COMMENT ON COLUMN scoring.model_version.architecture IS 'Name of the network architecture.';
COMMENT ON COLUMN scoring.model_version.input_size IS 'Side length of the square input image, in pixels.';
COMMENT ON COLUMN scoring.model_version.preprocessing_version IS 'Version of the image preprocessing; part of the key of a prediction.';
COMMENT ON COLUMN scoring.model_version.weights_sha256 IS 'SHA-256 of the weights file, in hex.';
COMMENT ON COLUMN scoring.model_version.manifest IS 'Model manifest: training data, metrics, file hashes, intended use.';
COMMENT ON COLUMN scoring.model_version.trained_on_synthetic IS 'True if any training image was a synthetic phantom; the predictions then say nothing about patients.';
COMMENT ON COLUMN scoring.model_version.registered_at IS 'Time at which the model was registered in this warehouse.';

CREATE TABLE scoring.promotion (
    promotion_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version text NOT NULL REFERENCES scoring.model_version (version),
    promoted_at timestamptz NOT NULL DEFAULT now(),
    promoted_by text NOT NULL CHECK (promoted_by <> ''),
    reason text NOT NULL CHECK (reason <> '')
);

COMMENT ON TABLE scoring.promotion IS 'Promotions of models. The last row names the promoted model, which the views show once it is activated. Append-only.';
COMMENT ON COLUMN scoring.promotion.promotion_id IS 'Sequential number; the largest is the current promotion.';
COMMENT ON COLUMN scoring.promotion.version IS 'Promoted model.';
COMMENT ON COLUMN scoring.promotion.promoted_at IS 'Time of the promotion.';
COMMENT ON COLUMN scoring.promotion.promoted_by IS 'Person who promoted the model.';
COMMENT ON COLUMN scoring.promotion.reason IS 'Reason for the promotion.';

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

COMMENT ON TABLE scoring.run IS 'Runs of the jobs: one row per attempt to process a batch. Append-only.';
COMMENT ON COLUMN scoring.run.run_id IS 'Identifier of the run; rows written by the run refer to it.';
COMMENT ON COLUMN scoring.run.batch_date IS 'Date of the batch (landing folder); for a rescoring, the newest batch of the history.';
COMMENT ON COLUMN scoring.run.job IS 'Job: nightly_scoring, rescoring or retraining.';
COMMENT ON COLUMN scoring.run.started_at IS 'Time at which the run started.';
COMMENT ON COLUMN scoring.run.trigger IS 'Run id of the scheduler, or cli.';
COMMENT ON COLUMN scoring.run.triggered_by IS 'User name, schedule or backfill.';
COMMENT ON COLUMN scoring.run.code_revision IS 'Software revision, from Git or from the container image.';
COMMENT ON COLUMN scoring.run.model_version IS 'Model that the run scores with; null if the job scores nothing.';

CREATE TABLE scoring.activation (
    activation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint NOT NULL REFERENCES scoring.promotion (promotion_id),
    activated_at timestamptz NOT NULL DEFAULT now(),
    run_id uuid REFERENCES scoring.run (run_id),
    n_missing bigint NOT NULL CHECK (n_missing >= 0)
);

COMMENT ON TABLE scoring.activation IS 'Activations of promoted models. The last row names the champion. Append-only.';
COMMENT ON COLUMN scoring.activation.activation_id IS 'Sequential number; the largest is the current activation.';
COMMENT ON COLUMN scoring.activation.promotion_id IS 'Promotion that took effect.';
COMMENT ON COLUMN scoring.activation.activated_at IS 'Time at which the views began to show the model.';
COMMENT ON COLUMN scoring.activation.run_id IS 'Rescoring that scored the remaining images; null if the model had already scored all of them when it was promoted.';
COMMENT ON COLUMN scoring.activation.n_missing IS 'Number of accepted images that the model could not score because their files are missing; a person accepted this.';

CREATE TABLE scoring.run_count (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    dataset text NOT NULL CHECK (dataset IN ('consultations', 'readings', 'disease_activity', 'images')),
    outcome text NOT NULL CHECK (
        outcome IN (
            'received', 'new', 'updated', 'unchanged', 'superseded', 'scored', 'already_scored', 'quarantined',
            'planned', 'rejected'
        )
    ),
    rule text NOT NULL DEFAULT '',
    n bigint NOT NULL CHECK (n >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, dataset, recorded_at, outcome, rule),
    CHECK (rule = '' OR outcome = 'quarantined')
);

COMMENT ON TABLE scoring.run_count IS 'Row counts of each run by dataset and outcome. Append-only.';
COMMENT ON COLUMN scoring.run_count.run_id IS 'Run that the counts describe.';
COMMENT ON COLUMN scoring.run_count.dataset IS 'consultations, readings, disease_activity or images.';
COMMENT ON COLUMN scoring.run_count.outcome IS 'What happened to the rows. received: all rows of the run (of a rescoring: planned). superseded: a newer batch had already delivered the record. rejected: the file is missing or has changed.';
COMMENT ON COLUMN scoring.run_count.rule IS 'First critical rule that the quarantined rows broke; empty for other outcomes.';
COMMENT ON COLUMN scoring.run_count.n IS 'Number of rows (images: files).';
COMMENT ON COLUMN scoring.run_count.recorded_at IS 'Time of the transaction that wrote the counts of the dataset. A repeated step writes new counts; the latest ones apply.';

CREATE TABLE scoring.run_result (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status text NOT NULL CHECK (status IN ('succeeded', 'failed')),
    message text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, finished_at)
);

COMMENT ON TABLE scoring.run_result IS 'Results of runs. A run without a result is running or was killed. A run that was cleared and repeated has several results; the latest one applies. Append-only.';
COMMENT ON COLUMN scoring.run_result.run_id IS 'Run that ended.';
COMMENT ON COLUMN scoring.run_result.finished_at IS 'Time at which the run ended.';
COMMENT ON COLUMN scoring.run_result.status IS 'succeeded or failed.';
COMMENT ON COLUMN scoring.run_result.message IS 'Error message for the operator; contains no patient data.';
