-- Title: Books of the last nights
-- Description: What landed and what became of it, for the last run of each of the last 14 nights. An unbalanced row is
-- a fault of the job: tell the operator. A night that is missing here did not run at all.

SELECT DISTINCT ON (night.batch_date, night.dataset)
    night.batch_date,
    night.dataset,
    night.status,
    night.landed,
    night.new,
    night.updated,
    night.unchanged,
    night.superseded,
    night.scored,
    night.already_scored,
    night.quarantined,
    night.balanced,
    left(night.message, 120) AS message
FROM analyst.run_reconciliation AS night
WHERE
    night.batch_date > (
        SELECT max(newest.batch_date) - 14 FROM analyst.run_reconciliation AS newest
        WHERE newest.job = 'nightly_scoring'
    )
    AND night.job = 'nightly_scoring'
ORDER BY night.batch_date DESC, night.dataset ASC, night.started_at DESC;
