import pytest

from scoring.report.formatting import DASH, SPACE
from scoring.report.measures import Kind, show


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.7157, "share", ".716"),
        (1.0, "share", "1.000"),
        (0.99996, "share", "1.000"),
        (-0.1312, "share", "\N{MINUS SIGN}.131"),
        (2.283, "percent", f"2.28{SPACE}%"),
        (10281.0, "count", "10,281"),
        (0.01497, "score", ".0150"),
        (226.85, "score", "226.8"),
        (-14.09, "rau", "\N{MINUS SIGN}14.1"),
        (None, "share", DASH),
    ],
)
def test_show_uses_the_digits_of_the_kind(value: float | None, kind: Kind, text: str) -> None:
    assert show(value, kind) == text
