-- Title: Disease activity summed over the time between two radiographs
-- Description: Damage follows the activity of all the time before, not that of one day (Welsing PM et al. Arthritis
-- Rheum 2004;50:2082-2093). For each interval of rau_progression and each form of DAS28: the area under the course of
-- DAS28 by the trapezoidal rule, as a mean over time and as DAS28-years. Between two activity visits the course is a
-- straight line, cut at the radiographs; visits just outside the interval therefore help to cover its ends. Over more than
-- 548 days (18 months) without a visit no line is drawn. The mean is null unless lines cover at least 80 % of the
-- interval. DAS28-years are the mean times the length of the interval, so that the part without a line counts like the
-- rest.

CREATE VIEW analyst.activity_between_radiographs AS
WITH line AS (
    SELECT
        measured.patient_id,
        measured.form,
        measured.origin,
        measured.visit_date AS start_date,
        measured.das28 AS start_das28,
        lead(measured.visit_date) OVER visits AS end_date,
        lead(measured.das28) OVER visits AS end_das28
    FROM analyst.das28_by_form AS measured
    WINDOW visits AS (PARTITION BY measured.patient_id, measured.form ORDER BY measured.visit_date)
),

-- What each line, and the visit at which it starts, gives to the interval; the last visit starts a line without end.
piece AS (
    SELECT
        progression.patient_id,
        progression.damage,
        progression.from_date,
        progression.to_date,
        known.form,
        line.start_date BETWEEN progression.from_date AND progression.to_date AS is_visit,
        line.origin,
        CASE
            WHEN line.end_date - line.start_date <= 548
                THEN
                    greatest(
                        0,
                        least(line.end_date, progression.to_date) - greatest(line.start_date, progression.from_date)
                    )
        END AS n_days,
        -- The middle of the piece, in days after the start of its line: a straight line's mean is its middle.
        (
            (least(line.end_date, progression.to_date) - line.start_date)
            + (greatest(line.start_date, progression.from_date) - line.start_date)
        ) / 2.0 AS middle,
        line.end_date - line.start_date AS line_days,
        line.start_das28,
        line.end_das28
    FROM analyst.rau_progression AS progression
    CROSS JOIN (VALUES ('das28_esr4'), ('das28_esr3'), ('das28_crp4'), ('das28_crp3')) AS known (form)
    LEFT JOIN line
        ON progression.patient_id = line.patient_id
        AND known.form = line.form
        AND progression.to_date >= line.start_date
        AND progression.from_date <= coalesce(line.end_date, line.start_date)
),

summed AS (
    SELECT
        piece.patient_id,
        piece.damage,
        piece.from_date,
        piece.to_date,
        piece.form,
        (piece.to_date - piece.from_date) / 365.25 AS years,
        count(*) FILTER (WHERE piece.is_visit) AS n_activity_visits,
        count(*) FILTER (WHERE piece.is_visit AND piece.origin = 'reported') AS n_reported,
        coalesce(sum(piece.n_days), 0)::double precision / (piece.to_date - piece.from_date) AS covered_share,
        sum(
            piece.n_days * (piece.start_das28 + (piece.end_das28 - piece.start_das28) * piece.middle / piece.line_days)
        ) / nullif(sum(piece.n_days), 0) AS mean_das28
    FROM piece
    GROUP BY piece.patient_id, piece.damage, piece.from_date, piece.to_date, piece.form
)

SELECT
    summed.patient_id,
    summed.damage,
    summed.from_date,
    summed.to_date,
    summed.form,
    summed.years::double precision AS years,
    summed.n_activity_visits,
    summed.n_reported,
    summed.covered_share,
    CASE WHEN summed.covered_share >= 0.8 THEN summed.mean_das28 END AS mean_das28,
    CASE WHEN summed.covered_share >= 0.8 THEN (summed.mean_das28 * summed.years)::double precision END AS das28_years
FROM summed;

COMMENT ON VIEW analyst.activity_between_radiographs IS 'Time-integrated DAS28 between the visits of each row of rau_progression, one row an interval and form; join by patient_id, damage, from_date and to_date.';
COMMENT ON COLUMN analyst.activity_between_radiographs.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.activity_between_radiographs.damage IS 'predicted_rau or reported_rau: whose radiographs bound the interval, as in rau_progression.';
COMMENT ON COLUMN analyst.activity_between_radiographs.from_date IS 'Date of the earlier radiograph''s visit.';
COMMENT ON COLUMN analyst.activity_between_radiographs.to_date IS 'Date of the later radiograph''s visit.';
COMMENT ON COLUMN analyst.activity_between_radiographs.form IS 'das28_esr4, das28_esr3 (sedimentation rate; four or three variables), das28_crp4 or das28_crp3 (C-reactive protein).';
COMMENT ON COLUMN analyst.activity_between_radiographs.years IS 'Length of the interval in years of 365.25 days.';
COMMENT ON COLUMN analyst.activity_between_radiographs.n_activity_visits IS 'Number of visits with this form from the earlier to the later radiograph, both days included.';
COMMENT ON COLUMN analyst.activity_between_radiographs.n_reported IS 'Of these, how many values were reported by the registry; the others were computed from their components.';
COMMENT ON COLUMN analyst.activity_between_radiographs.covered_share IS 'Share of the interval that lies between two activity visits at most 548 days apart, 0-1.';
COMMENT ON COLUMN analyst.activity_between_radiographs.mean_das28 IS 'Mean DAS28 over the covered time, points; null if less than 80 % of the interval is covered.';
COMMENT ON COLUMN analyst.activity_between_radiographs.das28_years IS 'Time-integrated DAS28 over the interval, points times years: mean_das28 * years; null like it.';
