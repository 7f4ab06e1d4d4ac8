"""Analysis of the scores: Rau scores of radiographs and visits, damage and disease activity, forecasts."""
