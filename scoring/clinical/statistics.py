"""Statistical constants that several packages share."""

HALF_WIDTH_90 = 1.6449
"""Half the width of a central 90 % interval in standard deviations, for a normal distribution."""
