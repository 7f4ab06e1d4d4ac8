"""The language of the project stays plain; see `tests/lib/prose.py` for the limits."""

import pytest

from tests.lib import prose


@pytest.fixture(scope="module")
def rates():
    return prose.rates()


@pytest.mark.parametrize("name", prose.HABITS)
def test_rates_are_within_the_limit_of_each_habit(rates, name):
    assert rates[name] <= prose.HABITS[name].limit, "\n".join(prose.places(name))


def test_layout_keeps_paragraphs_short_and_headings_frequent():
    measured = prose.layout()
    assert measured.median_paragraph_words <= prose.MEDIAN_PARAGRAPH_WORDS
    assert measured.words_per_heading <= prose.WORDS_PER_HEADING


def test_rates_find_every_kind_of_prose(tmp_path):
    (tmp_path / "page.md").write_text("Run it anew.\n\n| anew |\n\n```\nanew\n```\n")
    (tmp_path / "code.py").write_text('"""Compute the table anew today."""\nX = 1  # anew\n')
    (tmp_path / "table.sql").write_text("-- Made anew.\nCOMMENT ON TABLE x IS 'Made anew.';\nSELECT 'anew';\n")
    assert [place.rpartition(": ")[0] for place in prose.places("anew", tmp_path)] == [
        "code.py:1", "code.py:2", "page.md:1", "table.sql:1", "table.sql:2",
    ]  # fmt: skip
    assert prose.rates(tmp_path)["anew"] == pytest.approx(10_000 * 5 / 13)


def test_layout_counts_paragraphs_and_headings(tmp_path):
    (tmp_path / "README.md").write_text("# Title\n\nOne two three four.\n\n- one two three four five\n- a b c d e f\n")
    assert prose.layout(tmp_path) == prose.Layout(5, 15)
