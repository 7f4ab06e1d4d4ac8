-- Title: The champion
-- Description: The one model whose predictions the views show: the last activation. A promoted model whose history is
-- still being rescored is not in it yet. No row before the first promotion, and then the views show readings without
-- predictions.

CREATE VIEW analyst.champion AS
SELECT
    promotion.version AS model_version,
    promotion.promoted_at,
    promotion.promoted_by,
    promotion.reason,
    activation.activated_at,
    activation.n_missing,
    model_version.architecture,
    model_version.preprocessing_version,
    model_version.weights_sha256,
    model_version.trained_on_synthetic
FROM scoring.activation
INNER JOIN scoring.promotion ON activation.promotion_id = promotion.promotion_id
INNER JOIN scoring.model_version ON promotion.version = model_version.version
ORDER BY activation.activation_id DESC
LIMIT 1;

COMMENT ON VIEW analyst.champion IS 'The model whose predictions the other views show, one row.';
COMMENT ON COLUMN analyst.champion.model_version IS 'Name of the model.';
COMMENT ON COLUMN analyst.champion.promoted_at IS 'When it was promoted.';
COMMENT ON COLUMN analyst.champion.promoted_by IS 'Who decided it.';
COMMENT ON COLUMN analyst.champion.reason IS 'Why.';
COMMENT ON COLUMN analyst.champion.activated_at IS 'Since when the views show it: the whole history was scored with it by then.';
COMMENT ON COLUMN analyst.champion.n_missing IS 'Number of images of the history that went without a prediction of it, because their files are gone; see rescoring_rejection.';
COMMENT ON COLUMN analyst.champion.architecture IS 'Name of the network''s architecture.';
COMMENT ON COLUMN analyst.champion.preprocessing_version IS 'How image bytes become the network''s input.';
COMMENT ON COLUMN analyst.champion.weights_sha256 IS 'SHA-256 of its weights.';
COMMENT ON COLUMN analyst.champion.trained_on_synthetic IS 'True: trained on synthetic phantoms; its figures say nothing about patients.';
