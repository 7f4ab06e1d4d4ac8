"""The warehouse's URL, and what messages say of it."""

import traceback

import psycopg2
import pytest
import sqlalchemy as sa

from scoring.errors import BadInput, InvalidRequest, WarehouseUnavailable
from scoring.warehouse.engine import connect_engine, place, postgres_url, unavailable_if_lost

URL = "postgres://job:hidden-word@db.example:5433/warehouse"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_takes_the_same_driver(scheme):
    assert postgres_url(f"{scheme}://job@db/x").drivername == "postgresql+psycopg2"


@pytest.mark.parametrize("url", ["mysql://root:hidden-word@db/x", "hidden-word", ""])
def test_another_url_is_refused_without_repeating_it(url):
    with pytest.raises(InvalidRequest, match=r"PostgreSQL|postgresql") as refused:
        connect_engine(url)
    assert "hidden-word" not in str(refused.value)


def test_messages_name_the_place_but_no_login():
    engine = connect_engine(URL)
    assert place(engine) == "database warehouse at db.example:5433"
    with (
        pytest.raises(WarehouseUnavailable, match=r"database warehouse at db\.example:5433.*: gone") as lost,
        unavailable_if_lost(engine),
    ):
        raise psycopg2.OperationalError("gone\nmore")
    assert "hidden-word" not in str(lost.value)
    assert lost.value.retry is True


def test_a_local_socket_is_named_by_its_folder():
    assert place(connect_engine("postgresql://job@/x?host=/run/pg")) == "database x at /run/pg"


def test_a_fault_of_ours_goes_through():
    with pytest.raises(sa.exc.ProgrammingError), unavailable_if_lost(connect_engine(URL)):
        raise sa.exc.ProgrammingError("SELECT", {}, Exception("no such column"))


class Coded(psycopg2.OperationalError):
    """An error with the SQLSTATE that a server would have sent, which the driver's own classes keep read-only."""

    def __init__(self, state: str) -> None:
        super().__init__("said\nDETAIL:  Failing row contains (00123).")
        self.state = state

    @property
    def pgcode(self) -> str:
        return self.state


@pytest.mark.parametrize(
    "state", ["08006", "57P01", "57P03", "57014", "58030", "53100", "53300", "40001", "40P01", "55P03"]
)
def test_what_may_pass_is_tried_again(state):
    with pytest.raises(WarehouseUnavailable), unavailable_if_lost(connect_engine(URL)):
        raise Coded(state)


@pytest.mark.parametrize("state", ["54000", "55006", "99999"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_will_not_pass_is_refused_without_its_values(state, wrapped):
    cause = Coded(state)
    with pytest.raises(BadInput, match=state) as refused, unavailable_if_lost(connect_engine(URL)):
        raise sa.exc.OperationalError("INSERT", {"id": "00123"}, cause) if wrapped else cause
    assert "00123" not in "".join(traceback.format_exception(refused.value))


def test_errors_do_not_repeat_parameters():
    assert connect_engine(URL).hide_parameters
