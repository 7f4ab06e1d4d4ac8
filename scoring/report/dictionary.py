"""The data dictionary and the entity-relationship diagrams as Markdown, from the catalogue of the database."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from scoring.report.html import render
from scoring.warehouse.catalogue import Column, Relation

# Names of types that Mermaid accepts.
_SHORT_TYPES = {"double precision": "double", "timestamp with time zone": "timestamptz"}
_SHORT_KEYS = {"primary key": "PK", "foreign key": "FK", "unique": "UK"}


def dictionary(schemas: Mapping[str, str], relations: Sequence[Relation]) -> str:
    """Return all schemas, tables, views and columns with types, keys, meanings and units, as a Markdown document.

    Args:
        schemas: Comment of each schema.
        relations: Tables and views in the order of the document, grouped by schema.
    """
    return _document("dictionary.md", relations, schemas=schemas, anchor=anchor, cell=_cell)


def diagrams(relations: Sequence[Relation]) -> str:
    """Return entity-relationship diagrams in Mermaid, of all tables and of each schema, as a Markdown document.

    Views have no keys and are left out.
    """
    tables = [relation for relation in relations if relation.kind == "table"]
    return _document("er.md", tables, tables=tables, short_type=_short_type, references=_references)


def anchor(relation: Relation) -> str:
    """Return the anchor of a relation's heading in the dictionary, as GitHub forms it."""
    return re.sub(r"[^\w\- ]", "", f"{relation.kind} {relation.full_name}".lower()).replace(" ", "-")


def _document(template: str, relations: Sequence[Relation], **values: object) -> str:
    groups = [(schema, list(members)) for schema, members in groupby(relations, key=lambda relation: relation.schema)]
    return render(template, groups=groups, keys=_keys, **values).strip() + "\n"


def _cell(text: str) -> str:
    """Escape a comment for a Markdown table, where `|` would end the cell and `<18>` would be HTML."""
    return re.sub(r"([|*<])", r"\\\1", " ".join(text.split()))


def _keys(table: Relation, column: Column) -> str:
    """Return the keys of a column as Mermaid abbreviates them: PK, FK, UK."""
    kinds = {key.kind for key in table.constraints if column.name in key.columns}
    return ", ".join(short for kind, short in _SHORT_KEYS.items() if kind in kinds)


def _short_type(column: Column) -> str:
    return _SHORT_TYPES.get(column.type, re.sub(r"[^\w\[\]]", "_", column.type))


def _references(table: Relation) -> Iterator[str]:
    """Yield a line per foreign key, with the number of rows that it allows at each end."""
    nullable = {column.name for column in table.columns if column.nullable}
    unique = {frozenset(key.columns) for key in table.constraints if key.kind in {"primary key", "unique"}}
    for key in table.constraints:
        if key.kind == "foreign key":
            many = "o|" if frozenset(key.columns) in unique else "o{"
            one = "|o" if nullable & set(key.columns) else "||"
            yield f'"{key.references}" {one}--{many} "{table.full_name}" : "{", ".join(key.columns)}"'
