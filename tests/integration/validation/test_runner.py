from datetime import date

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations import check
from expectations.rule import Rule, Suite
from scoring.errors import RuleNotComputed
from scoring.validation.runner import broken_table_rules, row_breaches, validate


def rows(**columns):
    n = len(next(iter(columns.values())))
    origin = {
        "record_id": [f"r{row}" for row in range(n)],
        "source_file": "2026-11-21/x.csv",
        "row_number": range(2, n + 2),
        "batch_date": date(2026, 11, 21),
    }
    return pd.DataFrame({"row_key": [f"x.csv:{row}" for row in range(2, n + 2)], **origin, **columns})


def rule(name, condition, severity="critical"):
    return Rule(f"x.{name}", condition, reason="It is wrong.", remedy="Correct it.", severity=severity)


def suite(*rules):
    return Suite("x", rules)


IN_RANGE = rule("range", check.between("a", 0, 10))


@pytest.mark.parametrize(
    ("condition", "values", "breaking"),
    [
        (check.present("a"), ["x", None], "3"),
        (check.is_true("a"), [True, False, None], "3"),
        (check.is_false("a"), [True, False, None], "2"),
        (check.one_of("a", ["x", "y"]), ["x", "z", None], "3"),
        (check.between("a", 0, 10), [0.0, 10.0, -1.0, 10.5, None], "45"),
        (check.at_least("a", 4), [4.0, 3.9, None], "3"),
        (check.at_most("a", 4), [4.0, 4.1, None], "3"),
        (check.not_before("a", date(2026, 11, 21)), pd.to_datetime(["2026-11-20", "2026-11-21", None]), "2"),
        (check.not_after("a", date(2026, 11, 21)), pd.to_datetime(["2026-11-22", "2026-11-21", None]), "2"),
        (check.matches("a", r"\A[a-z]\Z"), ["x", "xy", "X", None], "34"),
        (check.does_not_match("a", r"\A[a-z]\Z"), ["x", "xy", None], "2"),
        (check.not_longer_than("a", 2), ["ab", "abc", None], "3"),
    ],
    ids=lambda each: each.condition if isinstance(each, check.Check) else "",
)
def test_row_breaches_returns_the_keys_of_rows_that_break_a_check(condition, values, breaking):
    found = row_breaches(rows(a=values), suite(rule("a", condition)))
    assert [key for breach in found for key in breach.rows] == [f"x.csv:{row}" for row in breaking]


def test_broken_table_rules_returns_the_rules_that_a_table_breaks():
    holding = [
        check.exists("a"),
        check.holds_numbers("a"),
        check.holds_numbers("z"),  # `exists` reports a missing column.
        check.includes_all("b", ["x", "y"]),
        check.distinct_values_at_least("b", 2),
        check.rows_at_least(3),
        check.rows_at_least(2, a=1),
    ]
    broken = [
        check.exists("z"),
        check.holds_numbers("b"),
        check.includes_all("b", ["x", "z"]),
        check.distinct_values_at_least("b", 3),
        check.distinct_values_at_least("b", 2, a=2),
        check.rows_at_least(4),
        check.rows_at_least(2, a=1, b="x"),
    ]
    rules = [rule(f"{number}", condition) for number, condition in enumerate([*holding, *broken])]
    found = broken_table_rules(rows(a=[1, 1, 2], b=["x", "y", "y"]), suite(*rules))
    assert [each.check for each in found] == broken


def test_row_breaches_returns_rules_in_the_order_of_the_suite():
    rules = suite(rule("present", check.present("c")), IN_RANGE, rule("usual", check.at_most("b", 5), "info"))
    found = row_breaches(rows(a=[1, 50, 3], b=[0, 9, 9], c=["x", None, "y"]), rules)
    assert [(breach.rule.name, breach.rows) for breach in found] == [
        ("x.present", ["x.csv:3"]),
        ("x.range", ["x.csv:3"]),
        ("x.usual", ["x.csv:3", "x.csv:4"]),
    ]


def test_validate_ignores_the_index_of_the_table():
    verdict = validate(rows(a=[1, 50, 3]).set_axis([7, 7, 2]), suite(IN_RANGE))
    assert list(verdict.accepted["row_key"]) == ["x.csv:2", "x.csv:4"]
    assert list(verdict.quarantine["row_number"]) == [3]


def test_validate_can_use_a_suite_again():
    rules = suite(IN_RANGE)
    for worst, n in ((11, 1), (10, 0)):
        assert len(validate(rows(a=[1, worst]), rules).quarantine) == n


def test_validate_neither_raises_nor_logs_a_value_if_a_rule_cannot_be_computed(caplog):
    with pytest.raises(RuleNotComputed) as raised, caplog.at_level("DEBUG"):
        validate(rows(a=["seventeen", "18"]), suite(IN_RANGE))
    assert "x.range (MetricResolutionError)" in str(raised.value)
    assert "The data may be good" in str(raised.value)
    assert "seventeen" not in str(raised.value)
    assert "seventeen" not in caplog.text
    assert (raised.value.exit_code, raised.value.retry) == (10, False)


def test_row_breaches_and_broken_table_rules_share_the_rules_of_a_suite():
    rules = suite(rule("has_a", check.exists("a")), rule("has_z", check.exists("z")), IN_RANGE)
    assert [each.name for each in broken_table_rules(rows(a=[99]), rules)] == ["x.has_z"]
    assert [breach.rule.name for breach in row_breaches(rows(a=[99]), rules)] == ["x.range"]


@pytest.mark.parametrize("keys", [["k", "k"], ["k", None]])
def test_row_breaches_rejects_missing_and_repeated_row_keys(keys):
    with pytest.raises(ValueError, match="row_key must be present and unique"):
        row_breaches(rows(a=[1, 2]).assign(row_key=keys), suite())


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cells=st.lists(st.tuples(st.integers(-5, 15), st.sampled_from(["x", None]), st.integers(0, 9)), max_size=12),
    data=st.data(),
)
@pytest.mark.slow
def test_validate_accepts_or_excludes_each_row_in_any_order(cells, data):
    frame = rows(a=[a for a, _, _ in cells], b=[b for _, b, _ in cells], c=[c for _, _, c in cells])
    frame = frame.astype({"a": "float64", "b": "str", "c": "float64"})
    rules = suite(IN_RANGE, rule("present", check.present("b")), rule("usual", check.at_most("c", 5), "info"))
    verdict = validate(frame, rules)
    shuffled = validate(frame.iloc[data.draw(st.permutations(range(len(frame))))], rules)

    excluded = set(verdict.quarantine.loc[~verdict.quarantine["kept"].astype(bool), "row_key"])
    accepted = set(verdict.accepted["row_key"])
    assert not accepted & excluded
    assert accepted | excluded == set(frame["row_key"])
    assert sum(verdict.counts.values()) == len(excluded)
    assert excluded == {
        row
        for row, a, b in zip(frame["row_key"], frame["a"], frame["b"], strict=True)
        if not 0 <= a <= 10 or pd.isna(b)
    }
    assert not verdict.quarantine.duplicated(["row_key", "rule"]).any()
    pd.testing.assert_frame_equal(shuffled.quarantine, verdict.quarantine)
    assert set(shuffled.accepted["row_key"]) == accepted
