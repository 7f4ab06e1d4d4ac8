-- Title: Last nightly runs
-- Description: Row counts of the last nightly runs, newest first: one row per run.
-- Parameters: limit.

SELECT
    batch_date, to_char(started_at, 'YYYY-MM-DD HH24:MI') AS started,
    coalesce(min(status), 'not closed') AS status,
    sum(received) FILTER (WHERE dataset = 'images')::integer AS images,
    sum(scored) FILTER (WHERE dataset = 'images')::integer AS scored,
    sum(already_scored) FILTER (WHERE dataset = 'images')::integer AS already_scored,
    sum(received) FILTER (WHERE dataset <> 'images')::integer AS records,
    sum(new + updated) FILTER (WHERE dataset <> 'images')::integer AS changed,
    sum(quarantined)::integer AS quarantined,
    CASE bool_and(reconciled) WHEN TRUE THEN 'yes' WHEN FALSE THEN 'no' ELSE '' END AS reconciled,
    coalesce(min(message), '') AS message
FROM analyst.run_reconciliation
WHERE job = 'nightly_scoring'
GROUP BY run_id, batch_date, started_at
ORDER BY started_at DESC
LIMIT :limit
