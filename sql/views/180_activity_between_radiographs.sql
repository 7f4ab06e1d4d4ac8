-- Title: Time-integrated disease activity between radiographs
-- Description: Damage depends on the disease activity over time, not on that of a single day (Welsing PM et al.
-- Arthritis Rheum 2004;50:2082-2093). For each interval of rau_progression and each form of DAS28, the view integrates
-- DAS28 over time by the trapezoidal rule, as a mean and as DAS28-years. DAS28 is interpolated linearly between
-- consecutive activity visits, also across the ends of the interval, but not over gaps of more than 548 days (18
-- months). The mean is null unless at least 80 % of the interval is covered. DAS28-years are the mean times the length
-- of the interval, so an uncovered part counts like the rest.

CREATE VIEW analyst.activity_between_radiographs AS
WITH line AS (
    SELECT
        measured.patient_id, measured.activity, measured.origin,
        measured.visit_date AS start_date, measured.das28 AS start_das28,
        lead(measured.visit_date) OVER visits AS end_date, lead(measured.das28) OVER visits AS end_das28
    FROM analyst.das28_by_form AS measured
    WINDOW visits AS (PARTITION BY measured.patient_id, measured.activity ORDER BY measured.visit_date)
),

-- Contribution of each line, and of the visit at its start, to an interval. The last visit starts a line without an
-- end.
piece AS (
    SELECT
        progression.patient_id, progression.damage, progression.from_date, progression.to_date,
        known.activity, line.start_date BETWEEN progression.from_date AND progression.to_date AS is_visit, line.origin,
        CASE
            WHEN line.end_date - line.start_date <= 548
                THEN
                    greatest(
                        0,
                        least(line.end_date, progression.to_date) - greatest(line.start_date, progression.from_date)
                    )
        END AS n_days,
        -- Midpoint of the piece in days after the start of its line; the mean of a straight line is its value there.
        (
            (least(line.end_date, progression.to_date) - line.start_date)
            + (greatest(line.start_date, progression.from_date) - line.start_date)
        ) / 2.0 AS mid,
        line.end_date - line.start_date AS line_days, line.start_das28, line.end_das28
    FROM analyst.rau_progression AS progression
    CROSS JOIN (VALUES ('das28_esr4'), ('das28_esr3'), ('das28_crp4'), ('das28_crp3')) AS known (activity)
    LEFT JOIN line
        ON progression.patient_id = line.patient_id
        AND known.activity = line.activity
        AND progression.to_date >= line.start_date
        AND progression.from_date <= coalesce(line.end_date, line.start_date)
),

summed AS (
    SELECT
        piece.patient_id, piece.damage, piece.from_date, piece.to_date, piece.activity,
        (piece.to_date - piece.from_date) / 365.25 AS years,
        count(*) FILTER (WHERE piece.is_visit) AS n_activity_visits,
        count(*) FILTER (WHERE piece.is_visit AND piece.origin = 'reported') AS n_reported,
        coalesce(sum(piece.n_days), 0)::double precision / (piece.to_date - piece.from_date) AS covered_share,
        sum(
            piece.n_days * (piece.start_das28 + (piece.end_das28 - piece.start_das28) * piece.mid / piece.line_days)
        ) / nullif(sum(piece.n_days), 0) AS mean_das28
    FROM piece
    GROUP BY piece.patient_id, piece.damage, piece.from_date, piece.to_date, piece.activity
)

SELECT
    summed.patient_id, summed.damage, summed.from_date, summed.to_date, summed.activity,
    summed.years::double precision AS years,
    summed.n_activity_visits, summed.n_reported, summed.covered_share,
    CASE WHEN summed.covered_share >= 0.8 THEN summed.mean_das28 END AS mean_das28,
    CASE WHEN summed.covered_share >= 0.8 THEN (summed.mean_das28 * summed.years)::double precision END AS das28_years
FROM summed;

COMMENT ON VIEW analyst.activity_between_radiographs IS 'Time-integrated DAS28 between the visits of each row of rau_progression: one row per interval and form. Join by patient_id, damage, from_date and to_date.';
COMMENT ON COLUMN analyst.activity_between_radiographs.n_activity_visits IS 'Number of visits with this form within the interval, including both ends.';
COMMENT ON COLUMN analyst.activity_between_radiographs.n_reported IS 'Number of these visits with a reported value; the others were computed from their components.';
COMMENT ON COLUMN analyst.activity_between_radiographs.covered_share IS 'Share of the interval, 0-1, that lies between successive activity visits at most 548 days apart.';
COMMENT ON COLUMN analyst.activity_between_radiographs.mean_das28 IS 'Mean DAS28 over the covered time, points; null if less than 80 % of the interval is covered.';
COMMENT ON COLUMN analyst.activity_between_radiographs.das28_years IS 'Time-integrated DAS28 over the interval, points times years: mean_das28 * years; null if mean_das28 is null.';
