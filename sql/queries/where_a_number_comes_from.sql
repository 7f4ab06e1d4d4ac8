-- Title: Where a number comes from
-- Description: For one joint of one radiograph, here the most eroded one of the last night; name another in `chosen`.
-- Every model that ever scored the image is listed, the champion first, with the bytes it saw (sha256sum of the file
-- gives the same hash), its weights, the code and the run.

WITH chosen AS (
    SELECT
        sop_iuid,
        joint
    FROM analyst.current_joint_prediction
    WHERE
        batch_date = (
            SELECT max(night.batch_date)
            FROM analyst.run_reconciliation
            WHERE night.job = 'nightly_scoring' AND night.scored > 0
        )
    ORDER BY predicted_percent DESC, sop_iuid ASC, joint ASC
    LIMIT 1
)

SELECT
    lineage.predicted_percent,
    lineage.predicted_grade,
    lineage.image_sha256,
    lineage.image_uri,
    lineage.model_version,
    lineage.weights_sha256,
    lineage.trained_on_synthetic,
    lineage.is_champion,
    lineage.preprocessing_version,
    lineage.engine,
    lineage.code_revision,
    lineage.batch_date,
    lineage.run_id,
    lineage.triggered_by,
    lineage.scored_at
FROM analyst.lineage AS lineage
INNER JOIN chosen ON lineage.sop_iuid = chosen.sop_iuid AND lineage.joint = chosen.joint
ORDER BY lineage.is_champion DESC, lineage.scored_at DESC;
