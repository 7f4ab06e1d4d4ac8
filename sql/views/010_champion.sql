-- Title: The champion
-- Description: The one model whose predictions the views show: the last row of the promotions. No row before the first
-- promotion, and then the views show readings without predictions.

CREATE VIEW analyst.champion AS
SELECT
    promotion.version AS model_version,
    promotion.promoted_at,
    promotion.promoted_by,
    promotion.reason,
    model_version.architecture,
    model_version.preprocessing_version,
    model_version.weights_sha256,
    model_version.trained_on_synthetic
FROM scoring.promotion
INNER JOIN scoring.model_version ON promotion.version = model_version.version
ORDER BY promotion.promotion_id DESC
LIMIT 1;

COMMENT ON VIEW analyst.champion IS 'The promoted model, one row; its predictions are the ones that the other views show.';
COMMENT ON COLUMN analyst.champion.model_version IS 'Name of the model.';
COMMENT ON COLUMN analyst.champion.promoted_at IS 'When it was promoted.';
COMMENT ON COLUMN analyst.champion.promoted_by IS 'Who decided it.';
COMMENT ON COLUMN analyst.champion.reason IS 'Why.';
COMMENT ON COLUMN analyst.champion.architecture IS 'Name of the network''s architecture.';
COMMENT ON COLUMN analyst.champion.preprocessing_version IS 'How image bytes become the network''s input.';
COMMENT ON COLUMN analyst.champion.weights_sha256 IS 'SHA-256 of its weights.';
COMMENT ON COLUMN analyst.champion.trained_on_synthetic IS 'True: trained on synthetic phantoms; its figures say nothing about patients.';
