-- Title: The books of every night
-- Description: For each run and dataset, what landed and what became of it. balanced says whether every landed row is
-- accounted for; a run that is still going, or was killed, has no status.

CREATE VIEW analyst.night AS
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
        sum(run_count.n) FILTER (WHERE run_count.outcome <> 'landed') AS accounted_for
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
    books.landed = coalesce(books.accounted_for, 0) AS balanced,
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
