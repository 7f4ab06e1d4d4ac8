"""The command export: views as Parquet or CSV, measurements for OMOP, observations for FHIR.

An export is a folder with a manifest. All of it is read in one transaction, so it shows one state of the warehouse.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

from scoring.commands.console import Table, json_option, progress_bar, show
from scoring.errors import InvalidRequest
from scoring.progress import Progress
from scoring.settings import Settings, get_settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from upath import UPath

    from scoring.warehouse.catalogue import Relation

Format = Literal["parquet", "csv", "omop", "fhir"]
PERSONS = "person_map.csv"


@click.command("export")
@click.option(
    "--format",
    "export_format",
    required=True,
    type=click.Choice(["parquet", "csv", "omop", "fhir"]),
    help="Views as Parquet or CSV, OMOP measurements, or FHIR observations.",
)
@click.option("--out", required=True, help="Folder to write to: a local path or fsspec URL.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in the folder.")
@click.option("--persons", help="For omop: person_map.csv of an earlier export, to keep its person_id values.")
@json_option
def export_command(export_format: Format, out: str, overwrite: bool, persons: str | None, as_json: bool) -> None:
    """Export the warehouse to Parquet, CSV, OMOP or FHIR.

    The formats parquet and csv contain every view of schema analyst; manifest.json describes the files.

    Example: scoring export --format parquet --out exports/warehouse
    """
    with progress_bar(f"exporting as {export_format}") as progress:
        written = export(get_settings(), out, export_format, overwrite=overwrite, persons=persons, progress=progress)
    show(Table("files", f"Exported to {out}", written), as_json=as_json)


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
        settings: Settings of the installation.
        url: Local path or fsspec URL of the folder.
        export_format: parquet and csv: every view of schema analyst; omop: measurements; fhir: observations.
        overwrite: Replace an earlier export.
        persons: For omop, the person map of an earlier export, to keep its numbers; None uses the map of the replaced
            export.
        progress: Called while rows are written.

    Returns:
        Name and number of rows of each view or file.

    Raises:
        InvalidRequest: The folder is not empty, or `persons` is given for another format than omop.
        BadInput: The person map cannot be read.
        StorageUnavailable: The storage failed or is full; nothing remains in the folder.
        WarehouseUnavailable: The connection was lost; nothing remains in the folder.
    """
    if persons is not None and export_format != "omop":
        raise InvalidRequest(
            "--persons is valid only for omop. Omit it: the other formats keep the pseudonyms of the registry."
        )
    from upath import UPath

    with _opened(settings, url, overwrite=overwrite) as (connection, folder, facts):
        if export_format in {"parquet", "csv"}:
            facts["views"] = written = _write_views(connection, folder, export_format, progress)
        elif export_format == "omop":
            facts["files"] = written = _write_omop(connection, folder, UPath(url), persons, progress)
        else:
            facts["files"] = written = _write_fhir(connection, folder, progress)
        facts["format"] = export_format
    return [{"name": each["name"], "rows": each["rows"]} for each in written]


@contextmanager
def _opened(settings: Settings, url: str, *, overwrite: bool) -> Iterator[tuple["Connection", "UPath", dict[str, Any]]]:
    """Yield a read transaction, the folder to fill and the content of its manifest, which is written at the end."""
    from scoring.contract import SYNTHETIC_NOTICE
    from scoring.export.folder import export_folder, write_manifest
    from scoring.warehouse import migrate
    from scoring.warehouse.engine import snapshot
    from scoring.warehouse.queries import export

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    with export_folder(url, overwrite=overwrite) as folder, snapshot(engine) as connection:
        moment = export.moment(connection)
        champion = moment["champion"]
        facts: dict[str, Any] = {
            **moment,
            "code_revision": settings.revision,
            "synthetic": bool(champion and champion["trained_on_synthetic"]),
            "notice": SYNTHETIC_NOTICE if champion and champion["trained_on_synthetic"] else "",
        }
        yield connection, folder, facts
        write_manifest(folder, facts)


def _write_views(
    connection: "Connection", folder: "UPath", table_format: Literal["parquet", "csv"], progress: Progress
) -> list[dict[str, Any]]:
    from scoring.warehouse.catalogue import relations

    written = []
    views = relations(connection, ("analyst",))
    for done, view in enumerate(views):
        progress(view.full_name, done, len(views))
        written.append(_write_view(connection, folder, view, table_format))
    return written


def _write_view(
    connection: "Connection", folder: "UPath", view: "Relation", table_format: Literal["parquet", "csv"]
) -> dict[str, Any]:
    from scoring.export import tables
    from scoring.warehouse.queries import export

    schema = tables.table_schema(view, table_format)
    batches = export.stream(connection, tables.select_view(view, table_format))
    partition = tables.partition_column(view) if table_format == "parquet" else None
    if table_format == "csv":
        rows = tables.write_csv(batches, schema, folder / f"{view.name}.csv")
    else:
        rows = tables.write_parquet(batches, schema, folder / view.name, partition)
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


def _write_omop(
    connection: "Connection", folder: "UPath", target: "UPath", persons_url: str | None, progress: Progress
) -> list[dict[str, Any]]:
    from itertools import chain, islice

    from upath import UPath

    from scoring.export import omop, tables
    from scoring.warehouse.queries import export

    previous = UPath(persons_url) if persons_url else target / PERSONS
    if persons_url and not previous.exists():
        raise InvalidRequest(f"The person map {persons_url} does not exist. Give the path of a person_map.csv.")
    persons = omop.number_persons(export.patients(connection), omop.read_persons(previous) if previous.exists() else {})
    omop.write_persons(persons, folder / PERSONS)
    rows = chain.from_iterable(
        to_rows(record)
        for records, to_rows in (
            (export.joint_predictions(connection), omop.joint_rows),
            (export.rau_predictions(connection), omop.rau_rows),
            (export.disease_activity(connection), omop.das28_rows),
        )
        for record in _counted(records, "measurement", progress)
    )
    numbered = omop.numbered(rows, persons)
    batches = iter(lambda: list(islice(numbered, export.BATCH_ROWS)), [])
    n_rows = tables.write_csv(batches, omop.MEASUREMENT, folder / "measurement.csv")
    return [{"name": "measurement.csv", "rows": n_rows}, {"name": PERSONS, "rows": len(persons)}]


def _write_fhir(connection: "Connection", folder: "UPath", progress: Progress) -> list[dict[str, Any]]:
    from scoring.export import fhir
    from scoring.warehouse.queries import export

    written = []
    for name, records, to_observation in (
        ("Observation.joint.ndjson", export.joint_predictions(connection), fhir.joint_observation),
        ("Observation.rau.ndjson", export.rau_predictions(connection), fhir.rau_observation),
    ):
        n_rows = 0
        with (folder / name).open("wb") as file:
            for record in _counted(records, name, progress):
                file.write(fhir.line(to_observation(record)))
                n_rows += 1
        written.append({"name": name, "rows": n_rows})
    return written


def _counted(
    records: Iterable[dict[str, Any]], name: str, progress: Progress, every: int = 1000
) -> Iterator[dict[str, Any]]:
    """Yield the records and report progress every `every` records."""
    for done, record in enumerate(records, start=1):
        if done % every == 0:
            progress(name, done, None)
        yield record
