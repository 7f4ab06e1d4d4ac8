"""Predictions: what the network says of each planned joint. A breach means that the network or its engine is broken.

Nothing of a shard that breaks a rule is published: a broken engine cannot be trusted on its other rows either.
"""

import great_expectations as gx
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

from expectations.rule import CRITICAL, about, columns_exist

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

_RESCORE = "Score the night again; if it stays so, do not use this model and tell its maintainer."


def predictions() -> gx.ExpectationSuite:
    """The suite for the predictions of one shard or one night."""
    return gx.ExpectationSuite(
        name="predictions",
        expectations=[
            *columns_exist("predictions", REQUIRED),
            *(
                ExpectColumnValuesToBeInSet(
                    column=fact,
                    value_set=[True],
                    severity=CRITICAL,
                    description=description,
                    meta=about(f"predictions.{fact}", reason=reason, remedy=_RESCORE),
                )
                for fact, description, reason in (
                    ("predicted", "Every planned image has a prediction.", "A planned image has no prediction."),
                    ("planned", "Every prediction was asked for.", "There is a prediction that nobody planned."),
                    ("once", "An image is predicted once.", "An image has several predictions."),
                    (
                        "cdf_in_range",
                        "The distribution has 101 finite values within 0 to 1.",
                        "The distribution does not have 101 finite values within 0 to 1.",
                    ),
                    ("cdf_monotone", "The distribution never falls.", "The distribution falls somewhere."),
                    (
                        "quantiles_ordered",
                        "The 5 % quantile, the median and the 95 % quantile are in order, within 0 to 100.",
                        "The quantiles are missing, out of order or outside 0 to 100.",
                    ),
                    (
                        "grade_fits_mean",
                        "The Ratingen grade is the one that the model's rule reads from mean and probabilities.",
                        "The Ratingen grade is not the one that the model's rule reads.",
                    ),
                    (
                        "probabilities_sum_to_one",
                        "The probabilities of the six grades lie within 0 to 1 and sum to 1.",
                        "The probabilities of the six grades do not sum to 1.",
                    ),
                )
            ),
            ExpectColumnValuesToNotBeNull(
                column="predicted_percent",
                severity=CRITICAL,
                description="A prediction has a mean.",
                meta=about("predictions.mean_present", reason="The mean is missing.", remedy=_RESCORE),
            ),
            ExpectColumnValuesToBeBetween(
                column="predicted_percent",
                min_value=0,
                max_value=100,
                severity=CRITICAL,
                description="The mean lies between 0 and 100 %.",
                meta=about("predictions.mean_in_range", reason="The mean lies outside 0 to 100 %.", remedy=_RESCORE),
            ),
        ],
    )
