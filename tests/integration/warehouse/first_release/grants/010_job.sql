-- Title: What the nightly job may do
-- Description: It reads everything and writes rows. It never deletes, truncates or changes structure: a fault in the
-- job, or somebody who gets hold of its login, can add wrong rows but cannot make history disappear.

GRANT USAGE ON SCHEMA registry, imaging, scoring, analytics, analyst TO scoring_job;

-- Every step asks what is there already: anti-joins, books, reports; the views are what the report shows.
GRANT SELECT ON ALL TABLES IN SCHEMA registry, imaging, scoring, analytics, analyst TO scoring_job;

-- Upserts: the registry corrects its records, a visit's Rau score changes when late films arrive, and correlations
-- as of a date change when old nights are filled in.
GRANT INSERT, UPDATE ON
registry.radiograph, registry.consultation, registry.joint_reading, registry.disease_activity,
registry.landed_file,
scoring.rau_prediction, analytics.correlation
TO scoring_job;

-- A quarantined row is never taken back, but it can be marked as resolved.
GRANT INSERT, UPDATE ON scoring.quarantine TO scoring_job;

-- Append-only: the audit trail, the images and what was predicted from them.
GRANT INSERT ON
scoring.run, scoring.run_count, scoring.run_result, scoring.run_quarantine,
scoring.model_version, scoring.promotion,
imaging.joint_image, scoring.joint_prediction
TO scoring_job;
