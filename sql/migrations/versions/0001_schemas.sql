-- Title: Schemas
-- Description: One schema for each kind of truth: what came in, what images exist, what was predicted, what was
-- derived, and what people may look at. Schema scoring exists already: it keeps the migrations' own records.

CREATE SCHEMA registry;
CREATE SCHEMA imaging;
CREATE SCHEMA analytics;
CREATE SCHEMA analyst;

COMMENT ON SCHEMA registry IS
'What the registry sent and validation accepted: consultations, radiographs, human joint readings, disease activity.';
COMMENT ON SCHEMA imaging IS 'Joint images cut out of the radiographs: content hash, size, brightness, place.';
COMMENT ON SCHEMA scoring IS
'Runs and their books, models, predictions of single joints and of the Rau score, and the quarantine.';
COMMENT ON SCHEMA analytics IS 'Figures derived from registry and predictions, keyed by the date they speak of.';
COMMENT ON SCHEMA analyst IS 'Documented views for people; the only schema that scoring_analyst may read.';

COMMENT ON TABLE scoring.alembic_version IS 'The migration that this database is at; kept by Alembic.';
COMMENT ON COLUMN scoring.alembic_version.version_num IS 'Number of the last applied file of sql/migrations/versions.';

CREATE TABLE scoring.repeatable (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE scoring.repeatable IS
'Views and grants as they were last applied; a file whose checksum differs makes `scoring migrate` apply all again.';
COMMENT ON COLUMN scoring.repeatable.name IS 'Path of the file below sql/, such as views/010_champion.sql.';
COMMENT ON COLUMN scoring.repeatable.checksum IS 'SHA-256 of the file, in hex.';
COMMENT ON COLUMN scoring.repeatable.applied_at IS 'When it was applied.';
