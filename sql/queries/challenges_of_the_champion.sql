-- Title: New models compared with the champion
-- Description: One row per retraining that compared a challenger, newest first. decision is promoted, rejected (by a
-- person), rejected by the gate, or open. The reasons of the gate and of the person are listed.

SELECT
    judged_at, champion, challenger, metric,
    round(cast(difference AS numeric), 3) AS difference,
    round(cast(difference_low AS numeric), 3) AS at_least,
    n_joints, n_patients, judged_on_synthetic,
    decision, decided_by, decision_reason, array_to_string(reasons, '; ') AS gate_reasons
FROM analyst.challenge
ORDER BY judged_at DESC;
