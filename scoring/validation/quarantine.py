"""The quarantine as a frame, and the one rule about images that can only break after validation.

Imports no Great Expectations: a step that publishes has no suite to run.
"""

from typing import Final

import pandas as pd

QUARANTINE_COLUMNS: Final = (
    "dataset",
    "row_key",
    "record_id",
    "source_file",
    "row_number",
    "batch_date",
    "rule",
    "severity",
    "kept",
    "reason",
    "remedy",
)

UNCHANGED_SINCE_VALIDATION: Final = {
    "rule": "images.unchanged_since_validation",
    "severity": "critical",
    "reason": "The file was changed or taken away after it was validated.",
    "remedy": "Nothing is lost: deliver it again or run the night again.",
}
"""What is said of an image that was accepted but was another one, or gone, when it was to be scored."""


def rejected_at_scoring(images: pd.DataFrame) -> pd.DataFrame:
    """The quarantine rows of accepted images that could not be scored, as their files were no longer those validated.

    Args:
        images: Staged image rows.

    Returns:
        One row for each image, in their order, with QUARANTINE_COLUMNS.
    """
    refused = images.assign(
        dataset="images",
        record_id=images["sop_iuid"] + "_" + images["joint"],
        kept=False,
        **UNCHANGED_SINCE_VALIDATION,
    )
    return refused[list(QUARANTINE_COLUMNS)].reset_index(drop=True)
