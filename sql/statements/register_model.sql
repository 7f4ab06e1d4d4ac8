-- Title: Register a model
-- Description: Writes a model version with its manifest. A version that is registered already is not changed.
-- Parameters: the columns of scoring.model_version; manifest as JSON text.

INSERT INTO scoring.model_version (
    version, architecture, input_size, preprocessing_version, weights_sha256, trained_on_synthetic, manifest
)
VALUES (
    :version, :architecture, :input_size, :preprocessing_version, :weights_sha256, :trained_on_synthetic,
    cast(:manifest AS jsonb)
)
ON CONFLICT (version) DO NOTHING
