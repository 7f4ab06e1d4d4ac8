-- Title: The books of every night
-- Description: For each run and dataset, what landed and what became of it. balanced says whether every landed row is
-- accounted for; a run that is still going, or was killed, has no status. A rescoring (job) lands nothing: it plans
-- images of the history, and each is scored, was scored already, or is refused.

CREATE VIEW analyst.run_reconciliation AS
WITH latest AS (
    -- A step that was cleared and run again has written its books again: the last ones count.
    SELECT
        run_id,
        dataset,
        outcome,
        n
    FROM (
        SELECT
            run_id,
            dataset,
            outcome,
            n,
            dense_rank() OVER (PARTITION BY run_id, dataset ORDER BY recorded_at DESC) AS place
        FROM scoring.run_count
    ) AS ranked
    WHERE place = 1
),

books AS (
    SELECT
        run_count.run_id,
        run_count.dataset,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'landed'), 0)::bigint AS landed,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'new'), 0)::bigint AS new,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'updated'), 0)::bigint AS updated,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'unchanged'), 0)::bigint AS unchanged,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'superseded'), 0)::bigint AS superseded,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'scored'), 0)::bigint AS scored,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'already_scored'), 0)::bigint AS already_scored,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'quarantined'), 0)::bigint AS quarantined,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'planned'), 0)::bigint AS planned,
        coalesce(sum(run_count.n) FILTER (WHERE run_count.outcome = 'refused'), 0)::bigint AS refused,
        sum(run_count.n) FILTER (WHERE run_count.outcome NOT IN ('landed', 'planned')) AS accounted_for
    FROM latest AS run_count
    GROUP BY run_count.run_id, run_count.dataset
),

ended AS (
    SELECT DISTINCT ON (run_id)
        run_id,
        finished_at,
        status,
        message
    FROM scoring.run_result
    ORDER BY run_id ASC, finished_at DESC
)

SELECT
    run.batch_date,
    run.started_at,
    ended.finished_at,
    ended.status,
    books.dataset,
    books.landed,
    books.new,
    books.updated,
    books.unchanged,
    books.superseded,
    books.scored,
    books.already_scored,
    books.quarantined,
    books.planned,
    books.refused,
    books.landed + books.planned = coalesce(books.accounted_for, 0) AS balanced,
    run.job,
    run.trigger,
    run.triggered_by,
    run.model_version,
    model_version.trained_on_synthetic,
    run.code_revision,
    ended.message,
    run.run_id
FROM scoring.run
LEFT JOIN books ON run.run_id = books.run_id
LEFT JOIN ended ON run.run_id = ended.run_id
LEFT JOIN scoring.model_version ON run.model_version = model_version.version;

COMMENT ON VIEW analyst.run_reconciliation IS 'Runs and their books: one row for each run and dataset. A night that was run again has several runs.';
COMMENT ON COLUMN analyst.run_reconciliation.batch_date IS 'The night: date of the landing folder. Of a rescoring the newest night of the history.';
COMMENT ON COLUMN analyst.run_reconciliation.started_at IS 'When the run began.';
COMMENT ON COLUMN analyst.run_reconciliation.finished_at IS 'When it ended; null if it has not, or was killed.';
COMMENT ON COLUMN analyst.run_reconciliation.status IS 'succeeded, failed, or null while it has not ended.';
COMMENT ON COLUMN analyst.run_reconciliation.dataset IS 'consultations, readings, disease_activity or images; null if the run kept no books.';
COMMENT ON COLUMN analyst.run_reconciliation.landed IS 'Number of rows (files) that landed.';
COMMENT ON COLUMN analyst.run_reconciliation.new IS 'Number of rows that were not in the warehouse before.';
COMMENT ON COLUMN analyst.run_reconciliation.updated IS 'Number of rows whose values changed.';
COMMENT ON COLUMN analyst.run_reconciliation.unchanged IS 'Number of rows whose values were there already.';
COMMENT ON COLUMN analyst.run_reconciliation.superseded IS 'Number of rows that came too late: a newer folder''s values were there.';
COMMENT ON COLUMN analyst.run_reconciliation.scored IS 'Number of images scored by this run.';
COMMENT ON COLUMN analyst.run_reconciliation.already_scored IS 'Number of images that this model had scored before.';
COMMENT ON COLUMN analyst.run_reconciliation.quarantined IS 'Number of rows (files) refused, each counted once.';
COMMENT ON COLUMN analyst.run_reconciliation.planned IS 'Number of images of the history that a rescoring was to score.';
COMMENT ON COLUMN analyst.run_reconciliation.refused IS 'Number of images of the history that it could not score, because their files are no longer what was accepted.';
COMMENT ON COLUMN analyst.run_reconciliation.balanced IS 'True if every landed row (file), or planned image, is accounted for.';
COMMENT ON COLUMN analyst.run_reconciliation.job IS 'Which job ran.';
COMMENT ON COLUMN analyst.run_reconciliation.trigger IS 'The scheduler''s id of the run, or cli.';
COMMENT ON COLUMN analyst.run_reconciliation.triggered_by IS 'Who or what started it.';
COMMENT ON COLUMN analyst.run_reconciliation.model_version IS 'The model that the run scored with.';
COMMENT ON COLUMN analyst.run_reconciliation.trained_on_synthetic IS 'True: that model was trained on synthetic phantoms.';
COMMENT ON COLUMN analyst.run_reconciliation.code_revision IS 'Revision of the software.';
COMMENT ON COLUMN analyst.run_reconciliation.message IS 'What went wrong, if anything.';
COMMENT ON COLUMN analyst.run_reconciliation.run_id IS 'Names the run.';
