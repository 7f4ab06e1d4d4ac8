-- Title: Withdraw readings
-- Description: Updates withdrawn_on of all readings of the consultations of this run. A reading is withdrawn by the
-- first newer batch in which its consultation no longer contains it. A quarantined reading is not withdrawn. Batches
-- may be processed in any order, so the newest batch of an earlier run counts as well; its content is known from its
-- readings and the quarantine.
-- Temporary tables: staged_registry_consultation (id_x, batch_date) and staged_registry_joint_reading (id_x, joint,
-- batch_date), with everything that this run received.
-- Parameters: run_id.

WITH missing_now AS (
    SELECT reading.id_x, reading.joint, min(consulted.batch_date) AS batch_date
    FROM registry.joint_reading AS reading
    INNER JOIN staged_registry_consultation AS consulted
        ON reading.id_x = consulted.id_x AND reading.batch_date <= consulted.batch_date
    WHERE
        NOT EXISTS (
            SELECT FROM staged_registry_joint_reading AS received
            WHERE
                received.id_x = reading.id_x
                AND received.joint = reading.joint
                AND received.batch_date = consulted.batch_date
        )
    GROUP BY reading.id_x, reading.joint
),

missing_before AS (
    SELECT reading.id_x, reading.joint, newest.batch_date
    FROM registry.joint_reading AS reading
    INNER JOIN registry.consultation AS newest
        ON reading.id_x = newest.id_x AND reading.batch_date < newest.batch_date
    WHERE
        NOT EXISTS (
            SELECT FROM staged_registry_consultation AS consulted
            WHERE consulted.id_x = newest.id_x AND consulted.batch_date = newest.batch_date
        )
        AND NOT EXISTS (
            SELECT FROM scoring.quarantine
            WHERE
                quarantine.row_key = newest.source_file || ':' || newest.row_number || ':' || reading.joint
                AND NOT quarantine.kept
                AND quarantine.resolved_at IS NULL
        )
),

decided AS (
    SELECT
        reading.id_x, reading.joint,
        least(
            CASE WHEN reading.withdrawn_on > reading.batch_date THEN reading.withdrawn_on END,
            missing_now.batch_date, missing_before.batch_date
        ) AS withdrawn_on
    FROM registry.joint_reading AS reading
    LEFT JOIN missing_now ON reading.id_x = missing_now.id_x AND reading.joint = missing_now.joint
    LEFT JOIN missing_before ON reading.id_x = missing_before.id_x AND reading.joint = missing_before.joint
    WHERE reading.id_x IN (SELECT consulted.id_x FROM staged_registry_consultation AS consulted)
)

UPDATE registry.joint_reading AS reading
SET withdrawn_on = decided.withdrawn_on, run_id = :run_id
FROM decided
WHERE
    reading.id_x = decided.id_x
    AND reading.joint = decided.joint
    AND reading.withdrawn_on IS DISTINCT FROM decided.withdrawn_on
