"""Measures, intervals, subgroups, calibration and the promotion gate."""
