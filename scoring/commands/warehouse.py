"""Commands about the warehouse: up, down, migrate, dictionary."""

import click

from scoring.settings import Settings, get_settings
from scoring.warehouse import connect


@click.command("up")
@click.option("--url", type=click.Choice(["job", "owner", "analyst", "airflow"]), help="Print only this URL.")
def up_command(url: str | None) -> None:
    """Start the embedded PostgreSQL server.

    Example: scoring up
    """
    settings = get_settings()
    server = connect.up(settings)
    if url:
        click.echo(getattr(server, f"{url}_url"))
    elif settings.warehouse_url is None:
        click.echo(f"The embedded warehouse is up. To read it:\n  {server.psql_command}")
    else:
        click.echo("The embedded server is up, but SCORING_WAREHOUSE_URL names another warehouse.")


@click.command("down")
def down_command() -> None:
    """Stop the embedded PostgreSQL server and keep its data.

    Example: scoring down
    """
    click.echo("stopped" if connect.down(get_settings()) else "was not running")


@click.command("migrate")
def migrate_command() -> None:
    """Create or update the tables, views and grants.

    Can be repeated safely.

    Example: scoring migrate
    """
    click.echo(connect.migrate(get_settings()))


@click.command("dictionary")
@click.option("--out", default="docs/reference", show_default=True, help="Folder for dictionary.md and er.md.")
def dictionary_command(out: str) -> None:
    """Write the data dictionary and ER diagrams.

    Both are generated from the catalogue of this warehouse. Prints their paths.

    Example: scoring dictionary --out docs/reference
    """
    for path in write_dictionary(get_settings(), out):
        click.echo(path)


def write_dictionary(settings: Settings, folder_url: str) -> list[str]:
    """Write `dictionary.md` and `er.md` of this warehouse into a folder. Returns their URLs."""
    from upath import UPath

    from scoring.report.dictionary import diagrams, dictionary
    from scoring.report.html import write_document
    from scoring.warehouse import catalogue, migrate
    from scoring.warehouse.engine import transaction

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    with transaction(engine) as connection:
        schemas, relations = catalogue.schema_comments(connection), catalogue.relations(connection)
    documents = {"dictionary.md": dictionary(schemas, relations), "er.md": diagrams(relations)}
    urls = {str(UPath(folder_url) / name): text for name, text in documents.items()}
    for url, text in urls.items():
        write_document(text, url)
    return list(urls)
