"""Predictions: one row per planned image. A broken rule means that the network or its engine is faulty.

If a prediction of a shard breaks a rule, no prediction of the shard is published.
"""

from expectations import check, shared
from expectations.rule import Rule, Suite

REQUIRED = (
    "image_sha256",
    "cdf",
    "predicted_percent",
    "predicted_median",
    "predicted_q05",
    "predicted_q95",
    "predicted_grade",
    "grade_probability",
)

_REMEDY = "Score the batch again; if the rule is broken again, stop using this model and inform its maintainer."

_FACTS = {
    "predicted": "A planned image has no prediction.",
    "planned": "An image was predicted that was not planned.",
    "once": "An image has several predictions.",
    "cdf_in_range": "The distribution does not have 101 finite values between 0 and 1.",
    "cdf_monotone": "The cumulative distribution decreases.",
    "quantiles_ordered": "The median or the interval is missing, out of order or outside 0 to 100 percent.",
    "grade_fits_mean": "The Ratingen grade contradicts the read-out rule of the model.",
    "probabilities_sum_to_one": "The probabilities of the six grades do not sum to 1, or one is outside 0 to 1.",
}


def predictions_suite() -> Suite:
    """Return the rules for the predictions of one shard or one batch."""
    percent = "predicted_percent"
    rules = (
        *((fact, check.is_true(fact), reason) for fact, reason in _FACTS.items()),
        ("mean_present", check.present(percent), "The predicted percentage is missing."),
        ("mean_in_range", check.between(percent, 0, 100), "The predicted percentage is outside 0 to 100."),
    )
    return Suite(
        "predictions",
        (
            *shared.columns("predictions", REQUIRED),
            *(
                Rule(f"predictions.{name}", condition, reason=reason, remedy=_REMEDY)
                for name, condition, reason in rules
            ),
        ),
    )
