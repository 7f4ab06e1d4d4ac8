"""Check staged tables with the suites of `expectations` and divide their rows into accepted and quarantined."""

import expectations  # noqa: F401 - silences a warning, so it must precede the import of Great Expectations
