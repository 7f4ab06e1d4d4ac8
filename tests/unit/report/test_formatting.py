from datetime import timedelta

import pytest

from scoring.report import formatting


@pytest.mark.parametrize(
    ("column", "term"),
    [
        ("hand_left_1", "left PIP5"),
        ("hand_left_10", "left thumb IP"),
        ("hand_right_7", "right MCP2"),
        ("foot_left_1", "left MTP5"),
        ("foot_left_5", "left great toe IP"),
        ("wrist_right", "right wrist"),
    ],
)
def test_joint_term_is_the_clinical_name(column: str, term: str) -> None:
    assert formatting.joint_term(column) == term


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (0.0004, "<0.1 %"), (0.0005, "0.1 %"), (0.6784, "67.8 %"), (1, "100.0 %")]
)
def test_percent_shows_a_small_share_as_less_than_the_last_digit(share: float, text: str) -> None:
    assert formatting.percent(share).replace(formatting.SPACE, " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (137, "2 min 17 s"), (14580, "4 h 03 min")]
)
def test_span_shows_the_two_largest_units(seconds: float, text: str) -> None:
    assert formatting.span(timedelta(seconds=seconds)).replace(formatting.SPACE, " ") == text
