-- Title: What new models were compared with the champion, and what became of them
-- Description: One row a retraining that came to a comparison, the newest first. decision is promoted, refused (by a
-- person), refused by the gate, or open; the gate's reasons and the person's stand beside it.

SELECT
    judged_at,
    champion,
    challenger,
    metric,
    round(cast(difference AS numeric), 3) AS difference,
    round(cast(difference_low AS numeric), 3) AS at_least,
    n_joints,
    n_patients,
    judged_on_synthetic,
    decision,
    decided_by,
    decision_reason,
    array_to_string(reasons, '; ') AS gate_says
FROM analyst.challenge
ORDER BY judged_at DESC;
