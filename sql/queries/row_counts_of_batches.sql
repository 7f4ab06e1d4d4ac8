-- Title: Row counts of the last batches
-- Description: Received rows by outcome, for the last run of each batch of the last 14 days. A row that does not
-- reconcile is a fault of the job; report it to the operator. A batch that is not listed was not processed.

SELECT DISTINCT ON (reconciliation.batch_date, reconciliation.dataset)
    reconciliation.batch_date, reconciliation.dataset, reconciliation.status,
    reconciliation.received, reconciliation.new, reconciliation.updated, reconciliation.unchanged,
    reconciliation.superseded, reconciliation.scored, reconciliation.already_scored,
    reconciliation.quarantined, reconciliation.reconciled,
    left(reconciliation.message, 120) AS message
FROM analyst.run_reconciliation AS reconciliation
WHERE
    reconciliation.batch_date > (
        SELECT max(newest.batch_date) - 14 FROM analyst.run_reconciliation AS newest
        WHERE newest.job = 'nightly_scoring'
    )
    AND reconciliation.job = 'nightly_scoring'
ORDER BY reconciliation.batch_date DESC, reconciliation.dataset ASC, reconciliation.started_at DESC;
