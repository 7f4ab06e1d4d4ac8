-- Title: Visits to correlate
-- Description: Rau scores and disease activity of the same visit as of a batch. Visits without disease activity are
-- excluded, because they cannot be correlated.
-- Parameters: as_of; model_version, the model of predicted_rau.

SELECT
    activity.patient_id, activity.visit_date, reported.reported_rau, predicted.predicted_rau,
    activity.das28_esr4, activity.das28_esr3, activity.das28_crp4, activity.das28_crp3,
    activity.physician_global, activity.patient_global
FROM analytics.activity_as_of(:as_of) AS activity
LEFT JOIN analytics.reported_rau_as_of(:as_of) AS reported
    ON activity.patient_id = reported.patient_id AND activity.visit_date = reported.visit_date
LEFT JOIN analytics.predicted_rau_as_of(:as_of, :model_version) AS predicted
    ON activity.patient_id = predicted.patient_id AND activity.visit_date = predicted.visit_date
WHERE reported.reported_rau IS NOT NULL OR predicted.predicted_rau IS NOT NULL
ORDER BY activity.patient_id, activity.visit_date
