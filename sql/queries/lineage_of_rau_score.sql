-- Title: Lineage of a Rau score
-- Description: Shows the visit with the highest score of the year before the last batch; choose another one in
-- `chosen`. Each joint and model that contributed has a row, with the hash of the image file, the model weights, the
-- code revision and the run.

WITH chosen AS (
    SELECT patient_id, visit_date
    FROM analyst.rau_by_visit
    WHERE
        rau_expected IS NOT NULL
        AND visit_date > (
            SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
            WHERE run_reconciliation.job = 'nightly_scoring'
        )
    ORDER BY rau_expected DESC, patient_id ASC, visit_date ASC
    LIMIT 1
)

SELECT
    rau.patient_id, rau.visit_date,
    round(rau.rau_expected::numeric, 1) AS rau, rau.n_scored, rau.image_count_matches,
    joint.joint, joint.predicted_grade, joint.image_sha256, joint.image_uri,
    rau.model_version, rau.weights_sha256, rau.trained_on_synthetic, rau.preprocessing_version,
    rau.code_revision, rau.run_id, rau.scored_at
FROM analyst.rau_lineage AS rau
CROSS JOIN LATERAL unnest(rau.image_sha256s) AS scored (image_sha256)
INNER JOIN analyst.lineage AS joint
    ON scored.image_sha256 = joint.image_sha256
    AND rau.model_version = joint.model_version
    AND rau.preprocessing_version = joint.preprocessing_version
WHERE
    rau.scope = 'visit'
    -- Scalar subqueries and not a join, so that the view computes one visit only.
    AND rau.patient_id = (SELECT chosen.patient_id FROM chosen)
    AND rau.visit_date = (SELECT chosen.visit_date FROM chosen)
ORDER BY rau.is_champion DESC, rau.model_version ASC, joint.joint ASC;
