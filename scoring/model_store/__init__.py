"""Stored models: find, verify, load and write them; the model shipped with the package."""
