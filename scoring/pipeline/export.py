"""Hand the warehouse on: the views as Parquet or CSV, measurements for OMOP, observations for FHIR.

Each export is one folder with a manifest, read in one transaction that sees one moment of the warehouse.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from scoring.errors import InvalidRequest
from scoring.pipeline import installation
from scoring.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from upath import UPath

    from scoring.warehouse.catalogue import Relation

Progress = Callable[[str, int, int | None], None]
"""Called with what is being written, how much of it is done, and how much there is if that is known."""

Format = Literal["parquet", "csv", "omop", "fhir"]
PERSONS = "person_map.csv"


@dataclass(frozen=True)
class _Open:
    """An export that is being written."""

    connection: "Connection"
    folder: "UPath"
    progress: Progress


def export(
    settings: Settings,
    url: str,
    export_format: Format,
    *,
    overwrite: bool,
    persons: str | None,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Write an export into a folder of its own.

    Args:
        settings: The installation.
        url: The folder, any fsspec URL.
        export_format: parquet and csv: every view of schema analyst; omop: measurements; fhir: observations.
        overwrite: Replace an export that is there.
        persons: For omop, the map of persons of an earlier export, whose numbers are kept; without it, that of the
            export that is replaced.
        progress: Told how far it is.

    Returns:
        What was written, as rows of a table: name and rows.

    Raises:
        InvalidRequest: The folder is taken, or `persons` makes no sense here.
        BadInput: The map of persons cannot be read.
        StorageUnavailable: The storage refused or is full; nothing is left in the folder.
        WarehouseUnavailable: The server went away; nothing is left in the folder.
    """
    if persons is not None and export_format != "omop":
        raise InvalidRequest("a map of persons is for omop only; the other exports keep the registry's pseudonyms")
    from upath import UPath

    with _opened(settings, url, overwrite=overwrite, progress=progress) as (opened, facts):
        if export_format in {"parquet", "csv"}:
            facts["views"] = written = _write_views(opened, export_format)
        elif export_format == "omop":
            facts["files"] = written = _write_omop(opened, UPath(url), persons)
        else:
            facts["files"] = written = _write_fhir(opened)
        facts["format"] = export_format
    return [{"name": each["name"], "rows": each["rows"]} for each in written]


@contextmanager
def _opened(
    settings: Settings, url: str, *, overwrite: bool, progress: Progress
) -> Iterator[tuple[_Open, dict[str, Any]]]:
    """One moment of the warehouse, a folder to fill, and what its manifest will say."""
    from scoring.export.folder import SYNTHETIC, export_folder, write_manifest
    from scoring.warehouse import extract, migrate

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    with export_folder(url, overwrite=overwrite) as folder, extract.snapshot(engine) as connection:
        moment = extract.moment(connection)
        champion = moment["champion"]
        facts: dict[str, Any] = {
            **moment,
            "code_revision": settings.revision,
            "synthetic": bool(champion and champion["trained_on_synthetic"]),
            "notice": SYNTHETIC if champion and champion["trained_on_synthetic"] else "",
        }
        yield _Open(connection, folder, progress), facts
        write_manifest(folder, facts)


def _write_views(opened: _Open, table_format: Literal["parquet", "csv"]) -> list[dict[str, Any]]:
    from scoring.warehouse.catalogue import relations

    written = []
    views = relations(opened.connection, ("analyst",))
    for done, view in enumerate(views):
        opened.progress(view.full_name, done, len(views))
        written.append(_write_view(opened, view, table_format))
    return written


def _write_view(opened: _Open, view: "Relation", table_format: Literal["parquet", "csv"]) -> dict[str, Any]:
    from scoring.export import tables
    from scoring.warehouse import extract

    schema = tables.table_schema(view, table_format)
    batches = extract.stream(opened.connection, tables.select_view(view, table_format))
    partition = tables.partition_column(view) if table_format == "parquet" else None
    if table_format == "csv":
        rows = tables.write_csv(batches, schema, opened.folder / f"{view.name}.csv")
    else:
        rows = tables.write_parquet(batches, schema, opened.folder / view.name, partition)
    return {
        "name": view.name,
        "rows": rows,
        "comment": view.comment,
        "partitioned_by_year_of": partition,
        "columns": [
            {
                "name": column.name,
                "type": str(field.type),
                "postgres_type": column.type,
                "unit": column.unit,
                "comment": column.comment,
            }
            for column, field in zip(view.columns, schema, strict=True)
        ],
    }


def _write_omop(opened: _Open, target: "UPath", persons_url: str | None) -> list[dict[str, Any]]:
    from itertools import chain, islice

    from upath import UPath

    from scoring.export import omop, tables
    from scoring.warehouse import extract

    former = UPath(persons_url) if persons_url else target / PERSONS
    if persons_url and not former.exists():
        raise InvalidRequest(f"there is no map of persons {persons_url}")
    persons = omop.number_persons(
        extract.patients(opened.connection), omop.read_persons(former) if former.exists() else {}
    )
    omop.write_persons(persons, opened.folder / PERSONS)
    rows = chain.from_iterable(
        to_rows(record)
        for records, to_rows in (
            (extract.joint_predictions(opened.connection), omop.joint_rows),
            (extract.rau_predictions(opened.connection), omop.rau_rows),
            (extract.disease_activity(opened.connection), omop.das28_rows),
        )
        for record in _counted(records, "measurement", opened.progress)
    )
    numbered = omop.numbered(rows, persons)
    batches = iter(lambda: list(islice(numbered, extract.BATCH_ROWS)), [])
    n_rows = tables.write_csv(batches, omop.MEASUREMENT, opened.folder / "measurement.csv")
    return [{"name": "measurement.csv", "rows": n_rows}, {"name": PERSONS, "rows": len(persons)}]


def _write_fhir(opened: _Open) -> list[dict[str, Any]]:
    from scoring.export import fhir
    from scoring.warehouse import extract

    written = []
    for name, records, to_observation in (
        ("Observation.joint.ndjson", extract.joint_predictions(opened.connection), fhir.joint_observation),
        ("Observation.rau.ndjson", extract.rau_predictions(opened.connection), fhir.rau_observation),
    ):
        n_rows = 0
        with (opened.folder / name).open("wb") as file:
            for record in _counted(records, name, opened.progress):
                file.write(fhir.line(to_observation(record)))
                n_rows += 1
        written.append({"name": name, "rows": n_rows})
    return written


def _counted(
    records: Iterable[dict[str, Any]], name: str, progress: Progress, every: int = 1000
) -> Iterator[dict[str, Any]]:
    """The same records, told to the progress bar now and then."""
    for done, record in enumerate(records, start=1):
        if done % every == 0:
            progress(name, done, None)
        yield record
