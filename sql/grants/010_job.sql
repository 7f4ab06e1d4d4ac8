-- Title: What the nightly job may do
-- Description: It reads everything and writes rows. It never deletes, truncates or changes structure. A fault in the
-- job, or somebody who gets hold of its login, can add wrong rows, and can replace what is computed (Rau scores and
-- the figures of analytics), which a new run computes again. What the registry said, what was predicted of a joint,
-- and the audit trail cannot be made to disappear.

GRANT USAGE ON SCHEMA registry, imaging, scoring, analytics, analyst TO scoring_job;

-- Every step asks what is there already: anti-joins, books, reports; the views are what the report shows.
GRANT SELECT ON ALL TABLES IN SCHEMA registry, imaging, scoring, analytics, analyst TO scoring_job;

-- Upserts: the registry corrects its records, a visit's Rau score changes when late radiographs arrive, and what is computed
-- as of a date changes when old nights are filled in; so does the bridge between two models.
GRANT INSERT, UPDATE ON
registry.radiograph, registry.consultation, registry.joint_reading, registry.disease_activity,
registry.landing_file,
scoring.rau_prediction, analytics.correlation, analytics.association, analytics.model_comparison, analytics.rau_forecast
TO scoring_job;

-- Append-only: what the registry corrected. The triggers that write it run with the rights of who updates.
GRANT INSERT ON registry.correction TO scoring_job;

-- A quarantined row is never taken back, but it can be marked as resolved.
GRANT INSERT, UPDATE ON scoring.quarantine TO scoring_job;

-- Append-only: the audit trail, the images and what was predicted from them.
GRANT INSERT ON
scoring.run, scoring.run_count, scoring.run_result, scoring.run_quarantine,
scoring.model_version, scoring.promotion, scoring.activation, scoring.rescoring_rejection,
imaging.joint_image, scoring.joint_prediction
TO scoring_job;

-- Append-only: what a retraining learnt from, how it came out, and who decided.
GRANT INSERT ON scoring.training_snapshot, scoring.challenge, scoring.challenge_decision TO scoring_job;
