-- Title: Lineage of a prediction
-- Description: Shows the most eroded joint of the last batch; choose another one in `chosen`. Each model that has
-- scored the image has a row, the champion first, with the hash of the image file (compare it with `sha256sum`), the
-- model weights, the code revision and the run.

WITH chosen AS (
    SELECT sop_iuid, joint
    FROM analyst.current_joint_prediction
    WHERE
        batch_date = (
            SELECT max(run_reconciliation.batch_date)
            FROM analyst.run_reconciliation
            WHERE run_reconciliation.job = 'nightly_scoring' AND run_reconciliation.scored > 0
        )
    ORDER BY predicted_percent DESC, sop_iuid ASC, joint ASC
    LIMIT 1
)

SELECT
    lineage.predicted_percent, lineage.predicted_grade,
    lineage.image_sha256, lineage.image_uri,
    lineage.model_version, lineage.weights_sha256, lineage.trained_on_synthetic,
    lineage.is_champion, lineage.preprocessing_version, lineage.engine, lineage.code_revision,
    lineage.batch_date, lineage.run_id, lineage.triggered_by, lineage.scored_at
FROM analyst.lineage AS lineage
INNER JOIN chosen ON lineage.sop_iuid = chosen.sop_iuid AND lineage.joint = chosen.joint
ORDER BY lineage.is_champion DESC, lineage.scored_at DESC;
