from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from scoring.contract import COLUMNS
from scoring.errors import BadInput, InvalidRequest, LandingNotReady
from scoring.landing import registry_source
from scoring.landing.tables import stage_table
from scoring.settings import Settings, sql_dir

BATCH_DATE = date(2026, 11, 21)


def read_registry(url: str | None) -> dict[str, pd.DataFrame]:
    settings = Settings(_env_file=None, registry_source="sql", registry_sql_url=url, lookback_days=7)
    return registry_source.read_registry(settings, BATCH_DATE)


@pytest.fixture
def registry(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for dataset, columns in COLUMNS.items():
            connection.execute(sa.text(f"CREATE TABLE {dataset} ({', '.join(column.name for column in columns)})"))
        connection.execute(
            sa.text(
                "INSERT INTO consultations (id_x, patient_id, date_x, date_y, sop_iuid, hand_left_1, rau_score) VALUES "
                "('c2', '00123', '2026-11-20', '2026-11-21', '1.2', 12.5, 3), "
                "('c1', '00124', '2026-11-14', '2026-11-14', '1.1', NULL, NULL), "
                "('unread', '00125', '2026-11-19', NULL, '1.4', NULL, NULL), "
                "('read late', '00126', '2026-08-01', '2026-11-15', '1.5', 5, 2), "
                "('before', '1', '2026-11-13', '2026-11-13', '1.0', 1, 1), "
                "('unread before', '1', '2026-11-13', NULL, '1.6', NULL, NULL), "
                "('after', '1', '2026-11-22', '2026-11-22', '1.3', 1, 1), "
                "('unread after', '1', '2026-11-22', NULL, '1.7', NULL, NULL)"
            )
        )
        connection.execute(
            sa.text("INSERT INTO disease_activity (patient_id, date, esr) VALUES ('00123', '2026-11-20', 12.0)")
        )
    return url


def test_read_registry_uses_a_half_open_window_and_keeps_ids_as_text(registry: str) -> None:
    frames = read_registry(registry)
    consultations = frames["consultations"]
    assert consultations["id_x"].tolist() == ["c1", "c2", "read late", "unread"]
    assert consultations["patient_id"].tolist() == ["00124", "00123", "00126", "00125"]
    assert consultations["row_number"].tolist() == [2, 3, 4, 5]
    assert frames["disease_activity"]["esr"].tolist() == ["12"]


def test_read_registry_gives_frames_that_can_be_staged(registry: str) -> None:
    text = read_registry(registry)["consultations"]
    tables = stage_table("consultations", text, source_file="sql:consultations", batch_date=BATCH_DATE)
    days = {"c1": 14, "c2": 21, "read late": 15}
    assert tables["consultations"].set_index("id_x")["date_y"].to_dict() == {
        **{id_x: date(2026, 11, day) for id_x, day in days.items()},
        "unread": None,
    }
    assert tables["readings"]["reading_percent"].tolist() == [12.5, 5]
    # An unread radiograph is found by the date on which it was taken.
    unread = tables["consultations"].set_index("id_x").loc["unread"]
    assert unread["date_x"] == date(2026, 11, 19)
    assert "unread" not in set(tables["readings"]["id_x"])


def test_read_registry_is_empty_if_the_registry_is_files() -> None:
    assert registry_source.read_registry(Settings(_env_file=None), BATCH_DATE) == {}


def test_read_registry_reports_a_missing_url() -> None:
    with pytest.raises(InvalidRequest, match="SCORING_REGISTRY_SQL_URL is missing"):
        read_registry(None)


@pytest.fixture
def adapt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Replace a text of the shipped queries, as a site does."""

    def replace(old: str, new: str) -> None:
        (tmp_path / "extract").mkdir()
        for query in (sql_dir() / "extract").glob("*.sql"):
            text = query.read_text(encoding="utf-8").replace(old, new)
            (tmp_path / "extract" / query.name).write_text(text, encoding="utf-8")
        monkeypatch.setattr(registry_source, "sql_dir", lambda: tmp_path)

    return replace


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("c.sop_iuid,", "", "sql:consultations has no column sop_iuid"),
        ("c.rau_score", "c.rau", r"consultations\.sql failed in the registry: no such column: c\.rau"),
        (":window_end", "'2026-11-22'", "must use :window_start and :window_end"),
    ],
)
def test_read_registry_reports_a_faulty_query_without_its_parameters(
    registry: str, adapt: Callable[[str, str], None], old: str, new: str, message: str
) -> None:
    adapt(old, new)
    with pytest.raises(BadInput, match=message) as failed:
        read_registry(registry)
    assert "2026-11-14" not in str(failed.value)


def test_read_registry_raises_a_retryable_error_if_the_database_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(LandingNotReady, match="database of the registry cannot be reached"):
        read_registry(f"sqlite:///{tmp_path / 'no_such_folder' / 'registry.db'}")
