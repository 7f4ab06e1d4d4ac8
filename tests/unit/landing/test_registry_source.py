from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from scoring.contract import COLUMNS
from scoring.errors import BadInput, LandingNotReady
from scoring.landing.registry_source import read_registry
from scoring.landing.tables import stage_table
from scoring.settings import sql_dir

WINDOW = {"window_start": date(2026, 11, 14), "window_end": date(2026, 11, 22)}
QUERIES = sql_dir() / "extract"


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
    frames = read_registry(registry, **WINDOW)
    consultations = frames["consultations"]
    assert consultations["id_x"].tolist() == ["c1", "c2", "read late", "unread"]
    assert consultations["patient_id"].tolist() == ["00124", "00123", "00126", "00125"]
    assert consultations["row_number"].tolist() == [2, 3, 4, 5]
    assert frames["disease_activity"]["esr"].tolist() == ["12"]


def test_read_registry_gives_frames_that_can_be_staged(registry: str) -> None:
    text = read_registry(registry, **WINDOW, queries=QUERIES)["consultations"]
    tables = stage_table("consultations", text, source_file="sql:consultations", batch_date=date(2026, 11, 21))
    assert tables["consultations"]["date_y"].tolist() == [
        date(2026, 11, 14),
        date(2026, 11, 21),
        date(2026, 11, 15),
        None,
    ]
    assert tables["readings"]["reading_percent"].tolist() == [12.5, 5]


def test_read_registry_finds_an_unread_radiograph_by_the_date_it_was_taken(registry: str) -> None:
    text = read_registry(registry, **WINDOW)["consultations"]
    tables = stage_table("consultations", text, source_file="sql:consultations", batch_date=date(2026, 11, 21))
    staged = tables["consultations"]
    unread = staged.set_index("id_x").loc["unread"]
    assert (unread["date_x"], unread["date_y"]) == (date(2026, 11, 19), None)
    assert "unread" not in set(tables["readings"]["id_x"])
    assert not {"unread before", "unread after"} & set(staged["id_x"])


@pytest.fixture
def adapted(tmp_path: Path) -> Callable[..., Path]:
    """The shipped queries with a replaced text, as adapted by a site."""

    def write(old: str, new: str) -> Path:
        for query in QUERIES.glob("*.sql"):
            (tmp_path / query.name).write_text(query.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        return tmp_path

    return write


def test_read_registry_reports_a_missing_column(registry: str, adapted: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="sql:consultations has no column sop_iuid"):
        read_registry(registry, **WINDOW, queries=adapted("    c.sop_iuid,\n", ""))


def test_read_registry_reports_a_failing_query_without_its_parameters(
    registry: str, adapted: Callable[..., Path]
) -> None:
    with pytest.raises(
        BadInput, match=r"consultations\.sql does not fit the registry: no such column: c\.rau"
    ) as failed:
        read_registry(registry, **WINDOW, queries=adapted("c.rau_score", "c.rau"))
    assert "2026-11-14" not in str(failed.value)


def test_read_registry_rejects_a_query_without_the_window(registry: str, adapted: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="must use :window_start and :window_end"):
        read_registry(registry, **WINDOW, queries=adapted(":window_end", "'2026-11-22'"))


def test_read_registry_raises_a_retryable_error_if_the_database_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(LandingNotReady, match="database of the registry cannot be reached"):
        read_registry(f"sqlite:///{tmp_path / 'no_such_folder' / 'registry.db'}", **WINDOW, queries=QUERIES)
