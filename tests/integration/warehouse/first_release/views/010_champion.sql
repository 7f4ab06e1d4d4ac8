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
