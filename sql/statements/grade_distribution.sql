-- Title: Grades predicted in the last batches
-- Description: Number and share of each grade predicted by the champion, in the last batches that scored images.
-- Parameters: n_batches; until, the last batch to count, or null for the newest.

WITH batch AS (
    SELECT DISTINCT batch_date
    FROM analyst.current_joint_prediction
    WHERE cast(:until AS date) IS NULL OR batch_date <= cast(:until AS date)
    ORDER BY batch_date DESC
    LIMIT :n_batches
)

SELECT
    prediction.batch_date, prediction.predicted_grade, count(*) AS n,
    cast(count(*) / sum(count(*)) OVER (PARTITION BY prediction.batch_date) AS double precision) AS share
FROM analyst.current_joint_prediction AS prediction
INNER JOIN batch ON prediction.batch_date = batch.batch_date
GROUP BY prediction.batch_date, prediction.predicted_grade
ORDER BY prediction.batch_date, prediction.predicted_grade
