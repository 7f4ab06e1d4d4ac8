-- Title: Challenges of the champion
-- Description: Every retraining that came to a comparison: what was compared on which joints, how it came out, what the
-- gate said and what became of it. A challenger that was promoted by hand later counts as promoted, whatever was
-- answered to the question: no answer in 14 days is a refusal, and a champion shown as refused would be a riddle.

CREATE VIEW analyst.challenge AS
SELECT
    challenge.challenge_id,
    challenge.judged_at,
    training_snapshot.cut_off,
    challenge.champion,
    challenge.challenger,
    model_version.trained_on_synthetic AS challenger_trained_on_synthetic,
    challenge.metric,
    challenge.champion_value,
    challenge.challenger_value,
    challenge.difference,
    challenge.difference_low,
    challenge.difference_high,
    challenge.n_joints,
    challenge.n_patients,
    training_snapshot.synthetic AS judged_on_synthetic,
    challenge.promote AS proposed,
    challenge.reasons,
    CASE
        WHEN promoted.promoted_at IS NOT NULL THEN 'promoted'
        WHEN decided.decision IS NOT NULL THEN decided.decision
        WHEN challenge.promote THEN 'open'
        ELSE 'refused by the gate'
    END AS decision,
    coalesce(promoted.promoted_by, decided.decided_by) AS decided_by,
    coalesce(promoted.promoted_at, decided.decided_at) AS decided_at,
    coalesce(promoted.reason, decided.reason) AS decision_reason,
    training_snapshot.n_joints AS snapshot_joints,
    training_snapshot.joints_by_grade,
    training_snapshot.excluded,
    challenge.snapshot_sha256,
    challenge.run_id
FROM scoring.challenge
INNER JOIN scoring.training_snapshot
    ON challenge.run_id = training_snapshot.run_id
    AND challenge.snapshot_sha256 = training_snapshot.snapshot_sha256
INNER JOIN scoring.model_version ON challenge.challenger = model_version.version
LEFT JOIN scoring.challenge_decision AS decided ON challenge.challenge_id = decided.challenge_id
LEFT JOIN LATERAL (
    SELECT
        promotion.promoted_at,
        promotion.promoted_by,
        promotion.reason
    FROM scoring.promotion
    WHERE promotion.version = challenge.challenger AND promotion.promoted_at >= challenge.judged_at
    ORDER BY promotion.promotion_id
    LIMIT 1
) AS promoted ON TRUE;

COMMENT ON VIEW analyst.challenge IS 'Every comparison of a newly trained model with the champion, and what became of it.';
COMMENT ON COLUMN analyst.challenge.challenge_id IS 'Running number.';
COMMENT ON COLUMN analyst.challenge.judged_at IS 'When the two were compared.';
COMMENT ON COLUMN analyst.challenge.cut_off IS 'Newest landing folder whose readings were used.';
COMMENT ON COLUMN analyst.challenge.champion IS 'The model that nights were scored with at that time.';
COMMENT ON COLUMN analyst.challenge.challenger IS 'The newly trained model.';
COMMENT ON COLUMN analyst.challenge.challenger_trained_on_synthetic IS 'True: the challenger was trained on synthetic phantoms; its figures say nothing about patients.';
COMMENT ON COLUMN analyst.challenge.metric IS 'What they were compared by.';
COMMENT ON COLUMN analyst.challenge.champion_value IS 'The champion''s value, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.challenger_value IS 'The challenger''s value, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.difference IS 'Challenger minus champion, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.difference_low IS 'Lower end of the difference''s 95 % interval, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.difference_high IS 'Upper end of it, on the scale of metric.';
COMMENT ON COLUMN analyst.challenge.n_joints IS 'Number of test joints, which neither model was trained on.';
COMMENT ON COLUMN analyst.challenge.n_patients IS 'Number of test patients.';
COMMENT ON COLUMN analyst.challenge.judged_on_synthetic IS 'True: at least some of the joints are synthetic phantoms; the comparison says nothing about patients.';
COMMENT ON COLUMN analyst.challenge.proposed IS 'Whether the gate proposed the challenger.';
COMMENT ON COLUMN analyst.challenge.reasons IS 'What the gate said, in sentences.';
COMMENT ON COLUMN analyst.challenge.decision IS 'promoted, refused (by a person), refused by the gate, or open.';
COMMENT ON COLUMN analyst.challenge.decided_by IS 'Who decided; null if the gate did or nobody yet.';
COMMENT ON COLUMN analyst.challenge.decided_at IS 'When.';
COMMENT ON COLUMN analyst.challenge.decision_reason IS 'Why, in the words of who decided.';
COMMENT ON COLUMN analyst.challenge.snapshot_joints IS 'Number of joints of the whole snapshot: to learn from, to choose by and to test.';
COMMENT ON COLUMN analyst.challenge.joints_by_grade IS 'Number of those by the grade that was read, 0 to 5; [1] is grade 0.';
COMMENT ON COLUMN analyst.challenge.excluded IS 'Number of read joints that the snapshot left out, by reason.';
COMMENT ON COLUMN analyst.challenge.snapshot_sha256 IS 'Hash of the snapshot; stands in the challenger''s manifest.';
COMMENT ON COLUMN analyst.challenge.run_id IS 'The retraining.';
