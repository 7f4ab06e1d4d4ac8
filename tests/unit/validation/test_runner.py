import great_expectations as gx
import pandas as pd
import pytest
from great_expectations.expectations.core import (
    ExpectColumnPairValuesAToBeGreaterThanB,
    ExpectColumnToExist,
    ExpectColumnValuesToBeBetween,
    ExpectColumnValuesToBeUnique,
    ExpectColumnValuesToMatchRegex,
    ExpectColumnValuesToNotBeNull,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.rule import CRITICAL, INFO, about
from scoring.errors import RuleNotComputed
from scoring.validation.runner import row_breaches, table_breaches, validate


def rows(**columns):
    n = len(next(iter(columns.values())))
    origin = {
        "record_id": [f"r{row}" for row in range(n)],
        "source_file": "2026-11-21/x.csv",
        "row_number": range(2, n + 2),
        "batch_date": pd.Timestamp("2026-11-21").date(),
    }
    return pd.DataFrame({"row_key": [f"x.csv:{row}" for row in range(2, n + 2)], **origin, **columns})


def words(rule, **more):
    return about(f"x.{rule}", reason="It is wrong.", remedy="Put it right.", **more)


def suite(*expectations):
    return gx.ExpectationSuite(name="x", expectations=list(expectations))


IN_RANGE = {"column": "a", "min_value": 0, "max_value": 10, "severity": CRITICAL}


def test_each_kind_of_row_rule_gives_its_row_keys():
    frame = rows(a=[1, 50, 3, 3], b=[0, 0, 9, 0], c=["x", None, "y1", "z"])
    found = row_breaches(
        frame,
        suite(
            ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range")),
            ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="a", column_B="b", severity=INFO, meta=words("pair"), description="a is more than b."
            ),
            ExpectColumnValuesToBeUnique(column="a", meta=words("unique")),
            ExpectColumnValuesToNotBeNull(column="c", meta=words("present")),
            ExpectColumnValuesToMatchRegex(column="c", regex=r"\A[a-z]\Z", meta=words("form")),
        ),
    )
    assert {breach.rule: breach.rows for breach in found} == {
        "x.range": ("x.csv:3",),
        "x.pair": ("x.csv:4",),
        "x.unique": ("x.csv:4", "x.csv:5"),
        "x.present": ("x.csv:3",),
        "x.form": ("x.csv:4",),
    }


def test_the_frames_own_index_does_not_matter():
    frame = rows(a=[1, 50, 3]).set_axis([7, 7, 2])
    verdict = validate(frame, suite(ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range"))), dataset="x")
    assert list(verdict.accepted["row_key"]) == ["x.csv:2", "x.csv:4"]
    assert list(verdict.quarantine["row_number"]) == [3]


def test_a_suite_can_be_used_again():
    rules = suite(ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range")))
    for worst, n in ((11, 1), (10, 0)):
        assert len(validate(rows(a=[1, worst]), rules, dataset="x").quarantine) == n


def test_a_rule_that_cannot_be_computed_is_a_failure_of_the_job_and_names_no_value():
    frame = rows(a=["seventeen", "18"])
    with pytest.raises(RuleNotComputed) as refused:
        validate(frame, suite(ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range"))), dataset="x")
    assert "x.range" in str(refused.value)
    assert "(MetricResolutionError)" in str(refused.value)
    assert "seventeen" not in str(refused.value)
    assert "says nothing about the data" in str(refused.value)
    assert (refused.value.exit_code, refused.value.retry) == (10, False)


def test_a_broken_rule_leaves_no_value_in_the_log(caplog):
    with pytest.raises(RuleNotComputed), caplog.at_level("DEBUG"):
        validate(
            rows(a=["seventeen"]), suite(ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range"))), dataset="x"
        )
    assert "seventeen" not in caplog.text


def test_table_rules_are_told_from_row_rules():
    rules = suite(
        ExpectColumnToExist(column="a", meta=words("has_a", scope="table")),
        ExpectColumnToExist(column="z", meta=words("has_z", scope="table")),
        ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range")),
    )
    assert [breach.rule for breach in table_breaches(rows(a=[99]), rules)] == ["x.has_z"]
    assert [breach.rule for breach in row_breaches(rows(a=[99]), rules)] == ["x.range"]


@pytest.mark.parametrize("keys", [["k", "k"], ["k", None]])
def test_rows_that_cannot_be_told_apart_are_refused(keys):
    with pytest.raises(ValueError, match="row_key must be present and unique"):
        row_breaches(rows(a=[1, 2]).assign(row_key=keys), suite())


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cells=st.lists(st.tuples(st.integers(-5, 15), st.sampled_from(["x", None]), st.integers(0, 9)), max_size=12),
    data=st.data(),
)
def test_accepted_and_excluded_rows_are_the_landed_ones_in_any_order(cells, data):
    frame = rows(a=[a for a, _, _ in cells], b=[b for _, b, _ in cells], c=[c for _, _, c in cells])
    frame = frame.astype({"a": "float64", "b": "str", "c": "float64"})
    rules = suite(
        ExpectColumnValuesToBeBetween(**IN_RANGE, meta=words("range")),
        ExpectColumnValuesToNotBeNull(column="b", severity=CRITICAL, meta=words("present")),
        ExpectColumnValuesToBeBetween(column="c", max_value=5, severity=INFO, meta=words("usual")),
    )
    verdict = validate(frame, rules, dataset="x")
    shuffled = validate(frame.iloc[data.draw(st.permutations(range(len(frame))))], rules, dataset="x")

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
