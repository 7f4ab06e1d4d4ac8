-- Title: What columns mean, said more exactly; one date for each radiograph
-- Description: A model has its own rule by which a distribution becomes a grade and an interval (read_out of its
-- manifest), so a grade is not always that of the mean, nor the ends of the interval the 5 % and 95 % quantiles. And a
-- radiograph has one date: a consultation that says another one made one radiograph two visits, and its second reading progression.

COMMENT ON COLUMN scoring.joint_prediction.predicted_q05 IS 'Lower end of the model''s calibrated 90 % interval, in percent; not always the 5 % quantile of the predicted distribution.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_q95 IS 'Upper end of the model''s calibrated 90 % interval, in percent; not always the 95 % quantile.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_grade IS 'Predicted Ratingen grade, 0-5, by the model''s own rule (read_out of its manifest); not always the grade of predicted_percent.';
COMMENT ON COLUMN scoring.joint_prediction.grade_probability IS 'Probability, 0 to 1, of grades 0 to 5, in this order; [1] is grade 0.';

COMMENT ON COLUMN analytics.correlation.as_of IS 'Only records delivered up to this landing folder are counted, with the values they had then; a predicted score has the value it has now.';
COMMENT ON COLUMN analytics.correlation.ci_low IS 'Lower end of the confidence interval, which allows for patients'' returning.';
COMMENT ON COLUMN analytics.association.as_of IS 'Only records delivered up to this landing folder are counted, with the values they had then; a predicted score has the value it has now.';
COMMENT ON COLUMN analytics.association.estimate IS 'In the unit of method: a correlation; of mixed_within and mixed_between, Rau points for each unit of DAS28; of regression, for each unit that lasts a year; of mixed_model, for each year. Null if not defined.';
COMMENT ON COLUMN analytics.rau_forecast.as_of IS 'Only radiographs and readings delivered up to this landing folder are counted, with the values they had then; a predicted score has the value it has now.';

COMMENT ON COLUMN registry.radiograph.visit_date IS 'Date of the visit at which the radiograph was taken (date_x): by the newest folder, and in that by the latest reading.';
COMMENT ON COLUMN registry.consultation.visit_date IS 'Date of the visit (date_x); of a consultation that names a radiograph, the date of that radiograph.';

-- Of an earlier release; what they said is kept in registry.correction.
UPDATE registry.consultation
SET visit_date = radiograph.visit_date
FROM registry.radiograph
WHERE
    consultation.sop_iuid = radiograph.sop_iuid
    AND consultation.visit_date <> radiograph.visit_date;
