"""Runs the suites of `expectations` over staged frames and splits rows into accepted and quarantined."""

import expectations  # noqa: F401 - it silences a warning of Great Expectations, so it has to come before that
