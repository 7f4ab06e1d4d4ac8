-- Title: Row counts of runs
-- Description: Received rows of each run and dataset by outcome. This view defines reconciliation: a dataset reconciles
-- if every received row has an outcome. A rescoring receives nothing; it plans images of the history, and each of them
-- is scored, was already scored, or is rejected. A run without a status is still running or was killed.

CREATE VIEW analyst.run_reconciliation AS
WITH ranked AS (
    SELECT
        run_id, dataset, outcome, n,
        dense_rank() OVER (PARTITION BY run_id, dataset ORDER BY recorded_at DESC) AS recency
    FROM scoring.run_count
),

counted AS (
    SELECT
        ranked.run_id, ranked.dataset,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'received'), 0)::bigint AS received,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'new'), 0)::bigint AS new,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'updated'), 0)::bigint AS updated,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'unchanged'), 0)::bigint AS unchanged,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'superseded'), 0)::bigint AS superseded,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'scored'), 0)::bigint AS scored,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'already_scored'), 0)::bigint AS already_scored,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'quarantined'), 0)::bigint AS quarantined,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'planned'), 0)::bigint AS planned,
        coalesce(sum(ranked.n) FILTER (WHERE ranked.outcome = 'rejected'), 0)::bigint AS rejected,
        sum(CASE WHEN ranked.outcome IN ('received', 'planned') THEN ranked.n ELSE -ranked.n END)::bigint
            AS unaccounted_for
    FROM ranked
    -- A repeated step has written its counts again; the latest ones apply.
    WHERE ranked.recency = 1
    GROUP BY ranked.run_id, ranked.dataset
),

ended AS (
    SELECT DISTINCT ON (run_id) run_id, finished_at, status, message
    FROM scoring.run_result
    ORDER BY run_id ASC, finished_at DESC
)

SELECT
    run.batch_date, run.started_at, ended.finished_at, ended.status,
    counted.dataset,
    counted.received, counted.new, counted.updated, counted.unchanged, counted.superseded,
    counted.scored, counted.already_scored, counted.quarantined, counted.planned, counted.rejected,
    counted.unaccounted_for, counted.unaccounted_for = 0 AS reconciled,
    run.job, run.trigger, run.triggered_by,
    run.model_version, scorer.trained_on_synthetic, run.code_revision,
    ended.message,
    run.run_id
FROM scoring.run
LEFT JOIN counted ON run.run_id = counted.run_id
LEFT JOIN ended ON run.run_id = ended.run_id
LEFT JOIN scoring.model_version AS scorer ON run.model_version = scorer.version;

COMMENT ON VIEW analyst.run_reconciliation IS 'Row counts by outcome: one row per run and dataset. A batch may have several runs.';
COMMENT ON COLUMN analyst.run_reconciliation.batch_date IS 'Date of the batch (landing folder); for a rescoring, the newest batch of the history.';
COMMENT ON COLUMN analyst.run_reconciliation.started_at IS 'Time at which the run started.';
COMMENT ON COLUMN analyst.run_reconciliation.finished_at IS 'Time at which the run ended; null if it is running or was killed.';
COMMENT ON COLUMN analyst.run_reconciliation.status IS 'succeeded or failed; null if the run has not ended.';
COMMENT ON COLUMN analyst.run_reconciliation.dataset IS 'consultations, readings, disease_activity or images; null if the run has no row counts.';
COMMENT ON COLUMN analyst.run_reconciliation.received IS 'Number of rows (images: files) received.';
COMMENT ON COLUMN analyst.run_reconciliation.new IS 'Number of rows that were not yet in the warehouse.';
COMMENT ON COLUMN analyst.run_reconciliation.updated IS 'Number of rows with changed values.';
COMMENT ON COLUMN analyst.run_reconciliation.unchanged IS 'Number of rows with the same values as before.';
COMMENT ON COLUMN analyst.run_reconciliation.superseded IS 'Number of rows that a newer batch had already delivered.';
COMMENT ON COLUMN analyst.run_reconciliation.scored IS 'Number of images scored by this run.';
COMMENT ON COLUMN analyst.run_reconciliation.already_scored IS 'Number of images that this model had scored before.';
COMMENT ON COLUMN analyst.run_reconciliation.quarantined IS 'Number of quarantined rows (images: files), each counted once.';
COMMENT ON COLUMN analyst.run_reconciliation.planned IS 'Number of images of the history that a rescoring planned to score.';
COMMENT ON COLUMN analyst.run_reconciliation.rejected IS 'Number of planned images that could not be scored because their files are missing or have changed.';
COMMENT ON COLUMN analyst.run_reconciliation.unaccounted_for IS 'Number of received or planned rows minus the sum of all outcomes; negative if outcomes exceed received rows.';
COMMENT ON COLUMN analyst.run_reconciliation.reconciled IS 'True if unaccounted_for is 0.';
COMMENT ON COLUMN analyst.run_reconciliation.model_version IS 'Model that the run scored with.';
COMMENT ON COLUMN analyst.run_reconciliation.message IS 'Error message of a failed run.';
COMMENT ON COLUMN analyst.run_reconciliation.run_id IS 'Identifier of the run.';
