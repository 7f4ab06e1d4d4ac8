-- Title: Facts of a run
-- Description: A run with its model and inference engine. engine lists several engines if shards differed, and is empty
-- if the run made no prediction.
-- Parameters: run_id.

SELECT
    cast(run.run_id AS text) AS run_id, run.batch_date, run.started_at,
    (
        SELECT max(result.finished_at)
        FROM scoring.run_result AS result
        WHERE result.run_id = run.run_id
    ) AS finished_at,
    run.code_revision, scorer.version AS model_version, scorer.weights_sha256,
    scorer.trained_on_synthetic, scorer.preprocessing_version,
    coalesce(
        (
            SELECT string_agg(DISTINCT prediction.engine, ', ')
            FROM scoring.joint_prediction AS prediction
            WHERE prediction.run_id = run.run_id
        ), ''
    ) AS engine
FROM scoring.run
INNER JOIN scoring.model_version AS scorer ON run.model_version = scorer.version
WHERE run.run_id = :run_id
