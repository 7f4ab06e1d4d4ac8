-- Title: Rau scores know whether their films still stand behind them
-- Description: The registry may move a film to another visit or patient. The score of the old visit is kept, because
-- the job deletes nothing, but it is shown no more unless another of its films is still there. To find that out of the
-- films whenever anybody looked took most of the time of every view of Rau scores: with ten million predictions more
-- than a second of the two and a half that analyst.rau_by_visit took. Now it is judged when a film is moved or a score
-- written, which is seldom, by triggers, so that no way of writing can forget it.

ALTER TABLE scoring.rau_prediction ADD COLUMN stands boolean NOT NULL DEFAULT TRUE;

COMMENT ON COLUMN scoring.rau_prediction.stands IS 'False if the registry has since moved the film, or all films of the visit that were scored, to another visit or patient; the score is kept, but not shown. Kept by triggers.';

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
            FROM scoring.rau_prediction AS film
            INNER JOIN registry.radiograph
                ON film.sop_iuid = radiograph.sop_iuid
                AND film.patient_id = radiograph.patient_id
                AND film.visit_date = radiograph.visit_date
            WHERE
                film.scope = 'film'
                AND film.patient_id = one.patient_id
                AND film.visit_date = one.visit_date
                AND film.model_version = one.model_version
                AND film.preprocessing_version = one.preprocessing_version
                AND one.sop_iuid IN ('', film.sop_iuid)
        ) AS stands
    FROM unnest(patient_ids, visit_dates) AS visit (patient_id, visit_date)
    INNER JOIN scoring.rau_prediction AS one
        -- Named because the key of the table begins with it.
        ON one.scope IN ('film', 'visit')
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

COMMENT ON FUNCTION scoring.judge_moved() IS 'Judges the scores of the visit that a film has left, and of the one it has come to.';

CREATE TRIGGER judge_moved AFTER UPDATE ON registry.radiograph
FOR EACH ROW
WHEN ((old.patient_id, old.visit_date) IS DISTINCT FROM (new.patient_id, new.visit_date))
EXECUTE FUNCTION scoring.judge_moved();

-- Of all rows of a statement at once, because a visit stands by its films, which may come after it.
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

UPDATE scoring.rau_prediction AS film
SET stands = FALSE
WHERE
    film.scope = 'film'
    AND NOT EXISTS (
        SELECT
        FROM registry.radiograph
        WHERE
            radiograph.sop_iuid = film.sop_iuid
            AND radiograph.patient_id = film.patient_id
            AND radiograph.visit_date = film.visit_date
    );

UPDATE scoring.rau_prediction AS visit
SET stands = FALSE
WHERE
    visit.scope = 'visit'
    AND NOT EXISTS (
        SELECT
        FROM scoring.rau_prediction AS film
        WHERE
            film.scope = 'film'
            AND film.stands
            AND film.patient_id = visit.patient_id
            AND film.visit_date = visit.visit_date
            AND film.model_version = visit.model_version
            AND film.preprocessing_version = visit.preprocessing_version
    );

-- The series of scores of a model's visits, in their order: progression, correlations, forecasts.
CREATE INDEX rau_prediction_of_standing_visits
ON scoring.rau_prediction (model_version, patient_id, visit_date)
INCLUDE (preprocessing_version, rau_expected, rau_q05, rau_q95, n_scored, extrapolated, first_batch_date)
WHERE scope = 'visit' AND stands;

-- How many films a year has: analyst.agreement.
CREATE STATISTICS registry.radiograph_by_year ON (extract(YEAR FROM visit_date)::integer) FROM registry.radiograph;
