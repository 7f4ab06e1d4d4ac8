"""What the commands print of correlations and associations."""

from math import nan

import pandas as pd
from scoring.pipeline.analyse import _shown


def test_counts_are_whole_and_what_is_not_defined_is_empty():
    table = pd.DataFrame({"method": ["pearson", "mixed_within"], "estimate": [0.12345, nan], "n_visits": [9.0, nan]})
    assert _shown(table, ["method", "estimate", "n_visits"]) == [
        {"method": "pearson", "estimate": 0.123, "n_visits": 9},
        {"method": "mixed_within", "estimate": None, "n_visits": None},
    ]
