"""The warehouse of the benchmark at a small size: its contents, and the results of every example query."""

from datetime import timedelta

import pytest

from scoring.pipeline import nightly
from scoring.settings import Settings, sql_dir
from scoring.warehouse import connect
from scoring.warehouse.engine import transaction
from scoring.warehouse.queries.analysis import visits_for_correlation
from tests.lib.warehouse import fill_with_predictions, rows

N = 20_000
QUERIES = sorted((sql_dir() / "queries").glob("*.sql"))


@pytest.fixture(scope="module")
def filled(new_warehouse, tmp_path_factory):
    """A warehouse of a small registry over ten years, with the analytics of its last batch."""
    with new_warehouse() as warehouse:
        fill_with_predictions(warehouse, N)
        settings = Settings(
            var_dir=tmp_path_factory.mktemp("var"),
            warehouse_url=warehouse.job_url,
            code_revision="test",
            _env_file=None,
        )
        ((run_id, batch_date, model_version),) = rows(
            warehouse.engine(),
            "SELECT run_id, batch_date, 'champion-1' FROM scoring.run WHERE job = 'nightly_scoring'"
            " ORDER BY batch_date DESC LIMIT 1",
        )
        assert nightly.analyse(settings, nightly.Run(str(run_id), batch_date, model_version, "grey128-v1")) > 0
        yield warehouse
    connect._engine.cache_clear()


def test_synthetic_warehouse_has_its_documented_size_and_proportions(filled):
    ((n_predictions, per_visit, visits_per_patient, read, former, years),) = rows(
        filled.engine(),
        """
        SELECT
            (SELECT count(*) FROM analyst.current_joint_prediction),
            (SELECT avg(n_scored)::float FROM analyst.rau_by_visit),
            (SELECT count(*)::float / count(DISTINCT patient_id) FROM analyst.rau_by_visit),
            (SELECT count(reported_rau)::float / count(*) FROM analyst.rau_by_radiograph),
            (SELECT avg((model_version = 'former-1')::integer)::float FROM scoring.joint_prediction),
            (SELECT (max(batch_date) - min(batch_date))::float / 365.25 FROM imaging.joint_image)
        """,
    )
    assert n_predictions == pytest.approx(N, rel=0.15)
    assert per_visit == pytest.approx(17.5, abs=2)
    assert visits_per_patient == pytest.approx(10, abs=1)
    assert read == pytest.approx(0.2, abs=0.03)
    assert former == pytest.approx(0.05, abs=0.01)
    assert years == pytest.approx(10, abs=0.7)


def test_views_agree_with_each_other(filled):
    """A missing or duplicated radiograph would distort the benchmark."""
    ((radiographs, visits, joints),) = rows(
        filled.engine(),
        """
        SELECT
            (SELECT count(*) FROM registry.radiograph) - (SELECT count(*) FROM analyst.rau_by_radiograph),
            (SELECT sum(n_radiographs) FROM analyst.rau_by_visit) - (SELECT count(*) FROM registry.radiograph),
            (SELECT sum(n_scored) FROM analyst.rau_by_radiograph)
            - (SELECT count(*) FROM analyst.current_joint_prediction)
        """,
    )
    assert (radiographs, visits, joints) == (0, 0, 0)
    reconciled = "SELECT DISTINCT reconciled FROM analyst.run_reconciliation WHERE dataset IS NOT NULL"
    assert rows(filled.engine(), reconciled) == [(True,)]


def test_agreement_of_a_year_equals_that_of_its_radiographs(filled):
    of_years = rows(
        filled.engine(),
        "SELECT visit_year, n_pairs, n_patients, round(same_grade::numeric, 9) FROM analyst.agreement"
        " WHERE comparison = 'human-model' AND joint_kind = 'all' ORDER BY 1 NULLS LAST",
    )
    counted = rows(
        filled.engine(),
        "SELECT extract(YEAR FROM visit_date)::integer, count(*), count(DISTINCT patient_id),"
        " CASE WHEN count(DISTINCT patient_id) >= 5 THEN round(avg((grade_difference = 0)::integer), 9) END"
        " FROM analyst.reading_versus_prediction GROUP BY ROLLUP (1) ORDER BY 1 NULLS LAST",
    )
    assert of_years == counted
    assert len(of_years) > 10


def test_visits_for_correlation_exclude_later_batches(filled):
    ((last,),) = rows(filled.engine(), "SELECT max(as_of) FROM analytics.correlation")
    earlier = last - timedelta(days=5 * 365)
    with transaction(filled.engine()) as connection:
        now, then = (visits_for_correlation(connection, day, "champion-1") for day in (last, earlier))
    assert 0 < len(then) < len(now)
    assert then["visit_date"].max() < earlier


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.stem)
def test_example_query_returns_rows_to_the_analyst(filled, query):
    with filled.engine(filled.analyst_url).connect() as connection:
        cursor = connection.connection.driver_connection.cursor()
        cursor.execute(query.read_text())
        assert cursor.fetchall()
