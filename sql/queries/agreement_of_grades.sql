-- Title: Table of read and predicted grades
-- Description: Rows are grades by the reader, columns are grades by the model. Readings cluster at the limits between
-- grades (20, 40, 60, 80 %), where a difference of one grade is not an error, so the share within one grade is shown as
-- well. The query counts radiographs from the year before the last batch; remove that condition for the whole history.

SELECT
    pair.reading_grade,
    count(*) AS n,
    count(*) FILTER (WHERE pair.predicted_grade = 0) AS predicted_0,
    count(*) FILTER (WHERE pair.predicted_grade = 1) AS predicted_1,
    count(*) FILTER (WHERE pair.predicted_grade = 2) AS predicted_2,
    count(*) FILTER (WHERE pair.predicted_grade = 3) AS predicted_3,
    count(*) FILTER (WHERE pair.predicted_grade = 4) AS predicted_4,
    count(*) FILTER (WHERE pair.predicted_grade = 5) AS predicted_5,
    round(avg((pair.grade_difference = 0)::integer), 3) AS same_grade,
    round(avg((abs(pair.grade_difference) <= 1)::integer), 3) AS within_one_grade,
    bool_or(pair.trained_on_synthetic) AS trained_on_synthetic
FROM analyst.reading_versus_prediction AS pair
WHERE
    pair.visit_date > (
        SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
GROUP BY pair.reading_grade
ORDER BY pair.reading_grade;
