-- Title: Schemas
-- Description: One schema per kind of data. Schema scoring already exists because Alembic keeps its version table
-- there.

CREATE SCHEMA registry;
CREATE SCHEMA imaging;
CREATE SCHEMA analytics;
CREATE SCHEMA analyst;

COMMENT ON SCHEMA registry IS 'Registry records that passed validation: radiographs, consultations, human joint readings, disease activity.';
COMMENT ON SCHEMA imaging IS 'Joint images cut out of the radiographs: content hash, size, brightness, location.';
COMMENT ON SCHEMA scoring IS 'Runs and their row counts, models, predictions of joints and of the Rau score, quarantine.';
COMMENT ON SCHEMA analytics IS 'Statistics derived from registry records and predictions, keyed by date and model.';
COMMENT ON SCHEMA analyst IS 'Documented views; the only schema that scoring_analyst may read.';

COMMENT ON TABLE scoring.alembic_version IS 'Current migration of this database; maintained by Alembic.';
COMMENT ON COLUMN scoring.alembic_version.version_num IS 'Revision of the last migration in sql/migrations/versions that was applied.';

CREATE TABLE scoring.repeatable (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE scoring.repeatable IS 'Functions, views and grants as last applied. If a checksum differs, `scoring migrate` applies all of them again.';
COMMENT ON COLUMN scoring.repeatable.name IS 'Path of the file below sql/, such as views/010_champion.sql.';
COMMENT ON COLUMN scoring.repeatable.checksum IS 'SHA-256 of the file, in hex.';
COMMENT ON COLUMN scoring.repeatable.applied_at IS 'Time at which the file was applied.';
