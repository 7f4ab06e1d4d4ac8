"""Write down what a warehouse holds: the data dictionary and the diagrams of its tables."""

from scoring.pipeline import installation
from scoring.settings import Settings


def write(settings: Settings, folder_url: str) -> list[str]:
    """Write `dictionary.md` and `er.md` of this installation's warehouse into a folder. Returns where they lie."""
    from upath import UPath

    from scoring.report.dictionary import diagrams, dictionary
    from scoring.report.page import write_page
    from scoring.warehouse import catalogue, migrate
    from scoring.warehouse.engine import transaction

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    with transaction(engine) as connection:
        schemas, relations = catalogue.schema_comments(connection), catalogue.relations(connection)
    documents = {"dictionary.md": dictionary(schemas, relations), "er.md": diagrams(relations)}
    written = []
    for name, text in documents.items():
        written.append(str(UPath(folder_url) / name))
        write_page(text, written[-1])
    return written
