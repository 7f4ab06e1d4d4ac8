"""Stored models: find, verify, load and write them; the model that ships with the package."""
