import traceback
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from scoring.errors import BadInput, LandingNotReady
from scoring.landing import registry_source
from scoring.landing.tables import stage_table
from scoring.settings import Settings, sql_dir

if TYPE_CHECKING:
    import pandas as pd

    from tests.conftest import Warehouse

BATCH_DATE = date(2026, 11, 21)

# Column types of a typical registry: numeric numbers, dates and timestamps, identifiers as text.
TABLES = """
CREATE TABLE consultations (
    id_x text, patient_id varchar(8), date_x date, date_y timestamp, sop_iuid text, body_part char(4),
    hand_left_1 numeric(5, 2), hand_left_2 real, hand_left_3 double precision, hand_left_4 smallint,
    hand_left_5 integer, hand_left_6 integer, hand_left_7 integer, hand_left_8 integer, hand_left_9 integer,
    hand_left_10 integer, rau_score numeric
);
CREATE TABLE disease_activity (
    patient_id text, date date, physician_global_disease_activity numeric,
    global_patient_estimate_disease_activity numeric, das28bsr_score numeric, das283crp_score numeric,
    swollen_28 integer, tender_28 integer, esr integer, crp numeric
);
INSERT INTO consultations (
    id_x, patient_id, date_x, date_y, sop_iuid, hand_left_1, hand_left_2, hand_left_3, hand_left_4, rau_score
) VALUES
    ('c1', '00123', '2026-11-20', '2026-11-21', '1.2', 12.50, 12.1, 'NaN', 5, 3),
    ('c2', '00124', '2026-11-13', '2026-11-13', '1.1', 1, 1, 1, 1, 1),
    ('c3', '00125', '2026-11-19', NULL, '1.3', NULL, NULL, NULL, NULL, NULL),
    ('c4', '00126', '2026-11-20', '2026-11-21 23:59', '1.4', NULL, NULL, NULL, NULL, NULL),
    ('c5', '00127', '2026-11-22', NULL, '1.5', NULL, NULL, NULL, NULL, NULL);
"""


def read_registry(url: str) -> "dict[str, pd.DataFrame]":
    settings = Settings(_env_file=None, registry_source="sql", registry_sql_url=url, lookback_days=7)
    return registry_source.read_registry(settings, BATCH_DATE)


@pytest.fixture
def registry(warehouse: "Warehouse") -> str:
    """Registry tables in the database of the warehouse, outside its schemas."""
    with warehouse.engine(warehouse.superuser_url).begin() as connection:
        connection.exec_driver_sql(TABLES)
    return warehouse.superuser_url


def test_read_registry_keeps_typed_values_unchanged(registry: str) -> None:
    frames = read_registry(registry)
    tables = stage_table(
        "consultations", frames["consultations"], source_file="sql:consultations", batch_date=BATCH_DATE
    )
    staged, readings = tables["consultations"], tables["readings"]
    row = staged.iloc[0]
    assert staged["id_x"].tolist() == ["c1", "c3", "c4"]
    assert (staged.loc[1, "date_x"], staged.loc[1, "date_y"]) == (date(2026, 11, 19), None)
    assert row["patient_id"] == "00123"
    assert (row["date_x"], row["date_y"]) == (date(2026, 11, 20), date(2026, 11, 21))
    assert dict(zip(readings["joint"], readings["reading_percent"], strict=True)) == {
        "hand_left_1": 12.5,
        "hand_left_2": 12.1,
        "hand_left_4": 5,
    }
    assert frames["disease_activity"].empty


def test_read_registry_reports_a_missing_table(registry: str, warehouse: "Warehouse") -> None:
    with warehouse.engine(warehouse.superuser_url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE disease_activity")
    with pytest.raises(BadInput, match=r'disease_activity\.sql failed in the registry: relation "disease_activity"'):
        read_registry(registry)


def test_read_registry_reports_a_failed_conversion_without_the_value(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = (sql_dir() / "extract" / "consultations.sql").read_text(encoding="utf-8")
    (tmp_path / "extract").mkdir()
    (tmp_path / "extract" / "consultations.sql").write_text(
        query.replace("c.sop_iuid", "cast(c.sop_iuid || 'Meier' AS integer)"), encoding="utf-8"
    )
    monkeypatch.setattr(registry_source, "sql_dir", lambda: tmp_path)
    with pytest.raises(BadInput, match=r"consultations\.sql converts a value") as rejected:
        read_registry(registry)
    assert "Meier" not in "".join(traceback.format_exception(rejected.value))


def test_read_registry_raises_a_retryable_error_if_the_database_does_not_exist(registry: str) -> None:
    elsewhere = sa.make_url(registry).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(LandingNotReady, match="database of the registry cannot be reached"):
        read_registry(elsewhere)
