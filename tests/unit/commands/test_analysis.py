from math import nan

import pandas as pd

from scoring.commands.analysis import _rows


def test_rows_round_figures_and_leave_undefined_values_empty():
    table = pd.DataFrame({"method": ["pearson", "mixed_within"], "estimate": [0.12345, nan], "n_visits": [9.0, nan]})
    assert _rows(table, ["method", "estimate", "n_visits"]) == [
        {"method": "pearson", "estimate": 0.123, "n_visits": 9},
        {"method": "mixed_within", "estimate": None, "n_visits": None},
    ]
