"""The columns of the quarantine, and the only rule about images that can be broken after validation.

Does not import Great Expectations: a step that publishes runs no suite.
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
    "reason": "The file was changed or removed after it was validated.",
    "remedy": "Deliver the file again or run the batch again; no data is lost.",
}
"""The rule that an accepted image breaks if its file is different or missing when it is scored."""


def rejected_at_scoring(images: pd.DataFrame) -> pd.DataFrame:
    """Return the quarantine rows of accepted images that could not be scored.

    Args:
        images: Staged image rows.

    Returns:
        One row per image, in their order, with QUARANTINE_COLUMNS.
    """
    rejected = images.assign(
        dataset="images",
        record_id=images["sop_iuid"] + "_" + images["joint"],
        kept=False,
        **UNCHANGED_SINCE_VALIDATION,
    )
    return rejected[list(QUARANTINE_COLUMNS)].reset_index(drop=True)
