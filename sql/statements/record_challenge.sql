-- Title: Record a challenge
-- Description: Writes the comparison of a challenger with the champion. A repeated step changes nothing.
-- Parameters: the columns of scoring.challenge; subgroups and candidates as JSON text.

INSERT INTO scoring.challenge (
    run_id, snapshot_sha256, champion, challenger, metric, champion_value, challenger_value, difference, difference_low,
    difference_high, n_joints, n_patients, subgroups, candidates, proposed, reasons
)
VALUES (
    :run_id, :snapshot_sha256, :champion, :challenger, :metric, :champion_value, :challenger_value, :difference,
    :difference_low, :difference_high, :n_joints, :n_patients, cast(:subgroups AS jsonb), cast(:candidates AS jsonb),
    :proposed, :reasons
)
ON CONFLICT (run_id, champion, challenger, metric) DO NOTHING
