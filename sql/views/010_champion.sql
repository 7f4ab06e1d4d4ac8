-- Title: Champion
-- Description: The model that the views show, given by the last activation. A promoted model is not shown while its
-- rescoring is unfinished. The view is empty before the first promotion; the other views then show readings without
-- predictions.

CREATE VIEW analyst.champion AS
SELECT
    promotion.version AS model_version,
    promotion.promoted_at, promotion.promoted_by, promotion.reason,
    activation.activated_at, activation.n_missing,
    scorer.architecture, scorer.preprocessing_version, scorer.weights_sha256, scorer.trained_on_synthetic
FROM scoring.activation
INNER JOIN scoring.promotion ON activation.promotion_id = promotion.promotion_id
INNER JOIN scoring.model_version AS scorer ON promotion.version = scorer.version
ORDER BY activation.activation_id DESC
LIMIT 1;

COMMENT ON VIEW analyst.champion IS 'Model that the other views show: at most one row.';
COMMENT ON COLUMN analyst.champion.model_version IS 'Name of the model.';
COMMENT ON COLUMN analyst.champion.promoted_at IS 'Time of the promotion.';
COMMENT ON COLUMN analyst.champion.promoted_by IS 'Person who promoted the model.';
COMMENT ON COLUMN analyst.champion.reason IS 'Reason for the promotion.';
COMMENT ON COLUMN analyst.champion.activated_at IS 'Time at which the views began to show the model, after it had scored the whole history.';
COMMENT ON COLUMN analyst.champion.n_missing IS 'Number of images that the model could not score because their files are missing; see rescoring_rejection.';
