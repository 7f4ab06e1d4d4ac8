"""Comparison of all recipes on equal synthetic data."""
