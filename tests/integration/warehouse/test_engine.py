"""The URL of the warehouse, and errors of the connection."""

import traceback

import psycopg2
import pytest
import sqlalchemy as sa

from scoring.errors import BadInput, InvalidRequest, WarehouseUnavailable
from scoring.warehouse.engine import connect_engine, location, postgres_url, translated_errors

URL = "postgres://job:hidden-word@db.example:5433/warehouse"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_postgres_url_accepts_every_spelling_of_postgresql(scheme):
    assert postgres_url(f"{scheme}://job@db/x").drivername == "postgresql+psycopg2"


@pytest.mark.parametrize("url", ["mysql://root:hidden-word@db/x", "hidden-word", ""])
def test_connect_engine_rejects_another_url_without_repeating_it(url):
    with pytest.raises(InvalidRequest, match=r"PostgreSQL|postgresql") as error:
        connect_engine(url)
    assert "hidden-word" not in str(error.value)


def test_translated_errors_names_host_and_database_but_no_login():
    engine = connect_engine(URL)
    assert location(engine) == "database warehouse at db.example:5433"
    with (
        pytest.raises(WarehouseUnavailable, match=r"database warehouse at db\.example:5433.*: gone") as error,
        translated_errors(engine),
    ):
        raise psycopg2.OperationalError("gone\nmore")
    assert "hidden-word" not in str(error.value)
    assert error.value.retry is True


def test_location_of_a_local_socket_is_its_folder():
    assert location(connect_engine("postgresql://job@/x?host=/run/pg")) == "database x at /run/pg"


def test_translated_errors_lets_errors_in_sql_through():
    with pytest.raises(sa.exc.ProgrammingError), translated_errors(connect_engine(URL)):
        raise sa.exc.ProgrammingError("SELECT", {}, Exception("no such column"))


class Coded(psycopg2.OperationalError):
    """An error with a SQLSTATE, which the classes of the driver have as a read-only attribute."""

    def __init__(self, state: str) -> None:
        super().__init__("said\nDETAIL:  Failing row contains (00123).")
        self.state = state

    @property
    def pgcode(self) -> str:
        return self.state


@pytest.mark.parametrize(
    "state", ["08006", "57P01", "57P03", "57014", "58030", "53100", "53300", "40001", "40P01", "55P03"]
)
def test_translated_errors_raises_warehouse_unavailable_for_transient_errors(state):
    with pytest.raises(WarehouseUnavailable), translated_errors(connect_engine(URL)):
        raise Coded(state)


@pytest.mark.parametrize("state", ["54000", "55006", "99999"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_translated_errors_raises_bad_input_without_values_for_permanent_errors(state, wrapped):
    cause = Coded(state)
    with pytest.raises(BadInput, match=state) as error, translated_errors(connect_engine(URL)):
        raise sa.exc.OperationalError("INSERT", {"id": "00123"}, cause) if wrapped else cause
    assert "00123" not in "".join(traceback.format_exception(error.value))


def test_connect_engine_hides_parameters():
    assert connect_engine(URL).hide_parameters
