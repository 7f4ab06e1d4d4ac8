"""Coverage of the intervals of associations in synthetic registries; the slow test runs it in full."""

import pytest

from scoring.commands import simulate_coverage
from scoring.phantom.longitudinal import Planted, simulate_followed


def test_table_names_every_estimate_and_its_truth():
    rows = simulate_coverage.table(80, 10, 2, 1000, lambda *_: None)
    assert [row["truth is"] for row in rows].count("planted") == len(simulate_coverage.planted(Planted())) == 4
    assert len({(row["relation"], row["lag window"], row["method"]) for row in rows}) == len(rows) == 19
    assert {row["intervals that contain it"] for row in rows} <= {"0 of 2", "1 of 2", "2 of 2"}
    assert (rows[-1]["relation"], rows[-1]["lag window"], rows[-1]["method"]) == simulate_coverage.NAIVE


def test_naive_pearson_has_a_far_too_narrow_interval():
    registry = simulate_followed(400, seed=1)
    found = simulate_coverage._figures(registry)["level", "within_90_days", "pearson"]
    naive = simulate_coverage.naive_pearson(registry)
    assert naive[2] - naive[1] < (found[2] - found[1]) / 4


@pytest.mark.parametrize(("covered", "as_stated"), [(190, True), (198, True), (200, False), (175, False)])
def test_as_stated_allows_for_chance(covered, as_stated):
    assert simulate_coverage.Covered(simulate_coverage.NAIVE, 0.0, False, 0.0, covered, 200).as_stated is as_stated


@pytest.mark.slow
def test_simulate_finds_the_stated_coverage():
    """5,000 patients over 10 years, 200 replications. The naive interval fails."""
    found = {one.estimand: one for one in simulate_coverage.simulate(5000, 10, 200, 200_000)}
    naive = found.pop(simulate_coverage.NAIVE)
    assert {one.estimand: one.covered for one in found.values() if not one.as_stated} == {}
    assert naive.covered < 100

    # The large registry gives the true correlations, so it must agree with the values that the simulation fixes.
    large = simulate_coverage._figures(simulate_followed(200_000, simulate_coverage._REFERENCE_SEED))
    for estimand, value in simulate_coverage.planted(Planted()).items():
        estimate, low, high = large[estimand]
        assert estimate == pytest.approx(value, abs=high - low)
