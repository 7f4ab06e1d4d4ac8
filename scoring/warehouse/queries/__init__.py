"""Readers: each module is named after the code that uses it."""
