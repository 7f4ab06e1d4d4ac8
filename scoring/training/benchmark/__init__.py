"""Compares all recipes on equal synthetic data."""
