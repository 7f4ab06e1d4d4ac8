-- Title: Record a training snapshot
-- Description: Writes the snapshot that a retraining uses. A repeated step changes nothing.
-- Parameters: run_id, sha256 and the other columns of scoring.training_snapshot; excluded as JSON text.

INSERT INTO scoring.training_snapshot (
    run_id, snapshot_sha256, cut_off, preprocessing_version, n_joints, n_patients, joints_by_grade, excluded,
    n_discordant, synthetic
)
VALUES (
    :run_id, :sha256, :cut_off, :preprocessing_version, :n_joints, :n_patients, :joints_by_grade,
    cast(:excluded AS jsonb), :n_discordant, :synthetic
)
ON CONFLICT (run_id, snapshot_sha256) DO NOTHING
