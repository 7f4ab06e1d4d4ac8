-- Title: Rau scores know whether their radiographs still stand behind them
-- Description: The registry may move a radiograph to another visit or patient. The score of the old visit is kept, because
-- the job deletes nothing, but it is shown no more unless another of its radiographs is still there. To find that out of the
-- radiographs whenever anybody looked took most of the time of every view of Rau scores: with ten million predictions more
-- than a second of the two and a half that analyst.rau_by_visit took. Now it is judged when a radiograph is moved or a score
-- written, which is seldom, by triggers, so that no way of writing can forget it.

ALTER TABLE scoring.rau_prediction ADD COLUMN stands boolean NOT NULL DEFAULT TRUE;

COMMENT ON COLUMN scoring.rau_prediction.stands IS 'False if the registry has since moved the radiograph, or all radiographs of the visit that were scored, to another visit or patient; the score is kept, but not shown. Kept by triggers.';

CREATE FUNCTION scoring.judge_standing(patient_ids text[], visit_dates date[]) RETURNS void
LANGUAGE sql
AS $$
UPDATE scoring.rau_prediction AS score
SET stands = judged.stands
FROM (
    SELECT
        one.scope, one.patient_id, one.visit_date, one.sop_iuid, one.model_version, one.preprocessing_version,
        EXISTS (
            SELECT
            FROM scoring.rau_prediction AS radiograph
            INNER JOIN registry.radiograph
                ON radiograph.sop_iuid = radiograph.sop_iuid
                AND radiograph.patient_id = radiograph.patient_id
                AND radiograph.visit_date = radiograph.visit_date
            WHERE
                radiograph.scope = 'radiograph'
                AND radiograph.patient_id = one.patient_id
                AND radiograph.visit_date = one.visit_date
                AND radiograph.model_version = one.model_version
                AND radiograph.preprocessing_version = one.preprocessing_version
                AND one.sop_iuid IN ('', radiograph.sop_iuid)
        ) AS stands
    FROM unnest(patient_ids, visit_dates) AS visit (patient_id, visit_date)
    INNER JOIN scoring.rau_prediction AS one
        -- Named because the key of the table begins with it.
        ON one.scope IN ('radiograph', 'visit')
        AND one.patient_id = visit.patient_id
        AND one.visit_date = visit.visit_date
) AS judged
WHERE
    score.scope = judged.scope
    AND score.patient_id = judged.patient_id
    AND score.visit_date = judged.visit_date
    AND score.sop_iuid = judged.sop_iuid
    AND score.model_version = judged.model_version
    AND score.preprocessing_version = judged.preprocessing_version
    AND score.stands <> judged.stands
$$;

COMMENT ON FUNCTION scoring.judge_standing(text[], date[]) IS
'Sets rau_prediction.stands of all scores, by all models, of some visits: patients and dates, place by place.';

CREATE FUNCTION scoring.judge_moved() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM scoring.judge_standing(ARRAY[OLD.patient_id, NEW.patient_id], ARRAY[OLD.visit_date, NEW.visit_date]);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION scoring.judge_moved() IS 'Judges the scores of the visit that a radiograph has left, and of the one it has come to.';

CREATE TRIGGER judge_moved AFTER UPDATE ON registry.radiograph
FOR EACH ROW
WHEN ((old.patient_id, old.visit_date) IS DISTINCT FROM (new.patient_id, new.visit_date))
EXECUTE FUNCTION scoring.judge_moved();

-- Of all rows of a statement at once, because a visit stands by its radiographs, which may come after it.
CREATE FUNCTION scoring.judge_scored() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM scoring.judge_standing(array_agg(visit.patient_id), array_agg(visit.visit_date))
    FROM (SELECT DISTINCT scored.patient_id, scored.visit_date FROM scored) AS visit;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION scoring.judge_scored() IS 'Judges the scores of the visits of which some were just written.';

CREATE TRIGGER judge_scored AFTER INSERT ON scoring.rau_prediction
REFERENCING NEW TABLE AS scored
FOR EACH STATEMENT
EXECUTE FUNCTION scoring.judge_scored();

UPDATE scoring.rau_prediction AS radiograph
SET stands = FALSE
WHERE
    radiograph.scope = 'radiograph'
    AND NOT EXISTS (
        SELECT
        FROM registry.radiograph
        WHERE
            radiograph.sop_iuid = radiograph.sop_iuid
            AND radiograph.patient_id = radiograph.patient_id
            AND radiograph.visit_date = radiograph.visit_date
    );

UPDATE scoring.rau_prediction AS visit
SET stands = FALSE
WHERE
    visit.scope = 'visit'
    AND NOT EXISTS (
        SELECT
        FROM scoring.rau_prediction AS radiograph
        WHERE
            radiograph.scope = 'radiograph'
            AND radiograph.stands
            AND radiograph.patient_id = visit.patient_id
            AND radiograph.visit_date = visit.visit_date
            AND radiograph.model_version = visit.model_version
            AND radiograph.preprocessing_version = visit.preprocessing_version
    );

-- The series of scores of a model's visits, in their order: progression, correlations, forecasts.
CREATE INDEX rau_prediction_of_standing_visits
ON scoring.rau_prediction (model_version, patient_id, visit_date)
INCLUDE (preprocessing_version, rau_expected, rau_q05, rau_q95, n_scored, extrapolated, first_batch_date)
WHERE scope = 'visit' AND stands;

-- How many radiographs a year has: analyst.agreement.
CREATE STATISTICS registry.radiograph_by_year ON (extract(YEAR FROM visit_date)::integer) FROM registry.radiograph;
