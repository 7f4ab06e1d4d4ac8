-- Title: Challenges of the champion
-- Description: Comparisons of newly trained models with the champion: data, result, verdict of the promotion gate and
-- decision. A challenger that was promoted by hand later counts as promoted, even if its proposal was rejected or
-- expired after 14 days; otherwise a champion would be listed as rejected.

CREATE VIEW analyst.challenge AS
SELECT
    challenge.challenge_id, challenge.judged_at, training_snapshot.cut_off,
    challenge.champion, challenge.challenger,
    scorer.trained_on_synthetic AS challenger_trained_on_synthetic,
    challenge.metric, challenge.champion_value, challenge.challenger_value,
    challenge.difference, challenge.difference_low, challenge.difference_high,
    challenge.n_joints, challenge.n_patients, training_snapshot.synthetic AS judged_on_synthetic,
    challenge.proposed, challenge.reasons,
    CASE
        WHEN promoted.promoted_at IS NOT NULL THEN 'promoted'
        WHEN decided.decision IS NOT NULL THEN decided.decision
        WHEN challenge.proposed THEN 'open'
        ELSE 'rejected by the gate'
    END AS decision,
    coalesce(promoted.promoted_by, decided.decided_by) AS decided_by,
    coalesce(promoted.promoted_at, decided.decided_at) AS decided_at,
    coalesce(promoted.reason, decided.reason) AS decision_reason,
    training_snapshot.n_joints AS snapshot_joints, training_snapshot.joints_by_grade,
    training_snapshot.excluded, challenge.snapshot_sha256,
    challenge.run_id
FROM scoring.challenge
INNER JOIN scoring.training_snapshot
    ON challenge.run_id = training_snapshot.run_id
    AND challenge.snapshot_sha256 = training_snapshot.snapshot_sha256
INNER JOIN scoring.model_version AS scorer ON challenge.challenger = scorer.version
LEFT JOIN scoring.challenge_decision AS decided ON challenge.challenge_id = decided.challenge_id
LEFT JOIN LATERAL (
    SELECT promotion.promoted_at, promotion.promoted_by, promotion.reason
    FROM scoring.promotion
    WHERE promotion.version = challenge.challenger AND promotion.promoted_at >= challenge.judged_at
    ORDER BY promotion.promotion_id
    LIMIT 1
) AS promoted ON TRUE;

COMMENT ON VIEW analyst.challenge IS 'Comparisons of newly trained models with the champion, and the decisions on them.';
COMMENT ON COLUMN analyst.challenge.challenge_id IS 'Sequential number.';
COMMENT ON COLUMN analyst.challenge.judged_at IS 'Time of the comparison.';
COMMENT ON COLUMN analyst.challenge.cut_off IS 'Newest batch from which readings were used.';
COMMENT ON COLUMN analyst.challenge.champion IS 'Promoted model at the time of the comparison.';
COMMENT ON COLUMN analyst.challenge.challenger IS 'Newly trained model.';
COMMENT ON COLUMN analyst.challenge.challenger_trained_on_synthetic IS 'True if the challenger was trained on synthetic phantoms; its predictions then say nothing about patients.';
COMMENT ON COLUMN analyst.challenge.metric IS 'Metric of the comparison.';
COMMENT ON COLUMN analyst.challenge.champion_value IS 'Result of the champion, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.challenger_value IS 'Result of the challenger, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.difference IS 'Challenger minus champion, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.difference_low IS 'Lower end of the 95 % interval of the difference, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.difference_high IS 'Upper end of the 95 % interval of the difference, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.n_joints IS 'Number of test joints; neither model was trained on them.';
COMMENT ON COLUMN analyst.challenge.n_patients IS 'Number of test patients.';
COMMENT ON COLUMN analyst.challenge.judged_on_synthetic IS 'True if any joint is a synthetic phantom; the comparison then says nothing about patients.';
COMMENT ON COLUMN analyst.challenge.proposed IS 'True if the gate proposed to promote the challenger.';
COMMENT ON COLUMN analyst.challenge.reasons IS 'Reasons given by the gate, one sentence per element.';
COMMENT ON COLUMN analyst.challenge.decision IS 'promoted, rejected (by a person), rejected by the gate, or open.';
COMMENT ON COLUMN analyst.challenge.decided_by IS 'Person who decided; null if the gate rejected the challenger or the decision is open.';
COMMENT ON COLUMN analyst.challenge.decided_at IS 'Time of the decision.';
COMMENT ON COLUMN analyst.challenge.decision_reason IS 'Reason for the decision.';
COMMENT ON COLUMN analyst.challenge.snapshot_joints IS 'Number of joints in the snapshot: training, validation and test set.';
COMMENT ON COLUMN analyst.challenge.joints_by_grade IS 'Number of these joints read as grade 0 to 5, in this order; element 1 is grade 0.';
COMMENT ON COLUMN analyst.challenge.excluded IS 'Number of read joints excluded from the snapshot, by reason.';
COMMENT ON COLUMN analyst.challenge.snapshot_sha256 IS 'SHA-256 of the snapshot; also listed in the manifest of the challenger.';
