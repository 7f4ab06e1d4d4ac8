-- Title: Privileges of the jobs
-- Description: The jobs read everything and write rows, but cannot delete or truncate rows or change the structure. A
-- fault in a job, or a stolen login, can add wrong rows and replace derived ones (Rau scores and statistics), which a
-- new run computes again. It cannot remove registry records, joint predictions or the audit trail.

GRANT USAGE ON SCHEMA registry, imaging, scoring, analytics, analyst TO scoring_job;
GRANT SELECT ON ALL TABLES IN SCHEMA registry, imaging, scoring, analytics, analyst TO scoring_job;

GRANT EXECUTE ON FUNCTION
registry.values_as_of(text, date), registry.consultation_as_of(date), registry.disease_activity_as_of(date),
analytics.reported_rau_as_of(date), analytics.predicted_rau_as_of(date, text), analytics.activity_as_of(date),
scoring.waiting_images(text)
TO scoring_job;

-- Updated when the registry corrects its records, when a visit receives late radiographs, and when old batches are
-- backfilled.
GRANT INSERT, UPDATE ON
registry.radiograph, registry.consultation, registry.joint_reading, registry.disease_activity,
registry.landing_file,
scoring.rau_prediction, analytics.correlation, analytics.association, analytics.model_comparison, analytics.rau_forecast
TO scoring_job;

-- Updated when a quarantined row is resolved.
GRANT INSERT, UPDATE ON scoring.quarantine TO scoring_job;

-- Append-only. The triggers that write registry.correction run with the privileges of the role that updates the record.
GRANT INSERT ON
registry.correction,
scoring.run, scoring.run_count, scoring.run_result, scoring.run_quarantine,
scoring.model_version, scoring.promotion, scoring.activation, scoring.rescoring_rejection,
imaging.joint_image, scoring.joint_prediction,
scoring.training_snapshot, scoring.challenge, scoring.challenge_decision
TO scoring_job;
