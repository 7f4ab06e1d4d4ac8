"""The data dictionary and the entity-relationship diagrams as Markdown, drawn from the database's own catalogue."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from scoring.warehouse.catalogue import Column, Constraint, Relation

_MADE = (
    "<!-- Made by `scoring dictionary` from the catalogue of a migrated warehouse: do not edit, run `make docs`. -->"
)
# What Mermaid takes as the type of an attribute.
_SHORT_TYPES = {"double precision": "double", "timestamp with time zone": "timestamptz"}


def dictionary(schemas: Mapping[str, str], relations: Sequence[Relation]) -> str:
    """Every schema, table, view and column with type, keys, meaning and unit.

    Args:
        schemas: What each schema holds.
        relations: Tables and views in the order in which they are shown, those of one schema together.

    Returns:
        A Markdown document that ends in a line feed.
    """
    return _document(
        _MADE,
        "# Data dictionary",
        "Meaning and unit of every column are its comment in the database; `\\d+ analyst.*` in psql shows the same. "
        "Analysts read the schema `analyst`; the tables behind it are listed because its views are made of them "
        '([diagrams](er.md)). "as measure" under *unit* means: the unit that the row\'s column `measure` names.',
        _contents(relations),
        *(
            part
            for schema, members in groupby(relations, key=lambda relation: relation.schema)
            for part in (f"## Schema `{schema}`", schemas[schema], *map(_relation, members))
        ),
    )


def diagrams(relations: Sequence[Relation]) -> str:
    """Entity-relationship diagrams of the tables in Mermaid: how all of them hang together, then each schema's keys.

    Args:
        relations: Tables and views; views have no keys and are left out.

    Returns:
        A Markdown document that ends in a line feed.
    """
    tables = [relation for relation in relations if relation.kind == "table"]
    return _document(
        _MADE,
        "# Entity-relationship diagrams",
        "Drawn from the foreign keys of the catalogue. Only keys are shown; [dictionary.md](dictionary.md) has all "
        "columns. Every table that a run writes points to `scoring.run`.",
        "## All tables",
        _mermaid(tables, with_columns=False),
        *(
            part
            for schema, members in groupby(tables, key=lambda table: table.schema)
            for part in (f"## Schema `{schema}`", _mermaid(list(members), with_columns=True))
        ),
    )


def anchor(relation: Relation) -> str:
    """The anchor that GitHub gives the relation's heading in the dictionary."""
    return re.sub(r"[^\w\- ]", "", _heading(relation).lower()).replace(" ", "-")


def _document(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(relation: Relation) -> str:
    return f"{relation.kind} {relation.full_name}"


def _contents(relations: Sequence[Relation]) -> str:
    lines = []
    for schema, members in groupby(relations, key=lambda relation: relation.schema):
        links = ", ".join(f"[{member.name}](#{anchor(member)})" for member in members)
        lines.append(f"- `{schema}`: {links}")
    return "\n".join(lines)


def _relation(relation: Relation) -> str:
    return "\n\n".join(
        filter(
            None,
            (
                f"### {_heading(relation)}",
                _cell(relation.comment),
                _table_columns(relation) if relation.kind == "table" else _view_columns(relation),
                "\n".join(f"- `{constraint.definition}`" for constraint in relation.constraints),
            ),
        )
    )


def _table_columns(table: Relation) -> str:
    keys = _keys(table)
    return _markdown_table(
        ("column", "type", "null", "key", "unit", "meaning"),
        (
            (
                f"`{column.name}`",
                column.type,
                "yes" if column.nullable else "no",
                keys.get(column.name, ""),
                column.unit,
                column.comment + (f" ({column.filled})" if column.filled else ""),
            )
            for column in table.columns
        ),
    )


def _view_columns(view: Relation) -> str:
    return _markdown_table(
        ("column", "type", "unit", "meaning"),
        ((f"`{column.name}`", column.type, column.unit, column.comment) for column in view.columns),
    )


def _markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text of the database as Markdown that looks the same: a bar would end the cell, `<18>` would be HTML."""
    return re.sub(r"([|*<])", r"\\\1", " ".join(text.split()))


def _keys(table: Relation) -> dict[str, str]:
    """PK, FK and UK of each column, as Mermaid abbreviates them."""
    short = {"primary key": "PK", "foreign key": "FK", "unique": "UK"}
    found: dict[str, list[str]] = {}
    for kind, name in short.items():
        for constraint in table.constraints:
            for column in constraint.columns if constraint.kind == kind else ():
                if name not in found.setdefault(column, []):
                    found[column].append(name)
    return {column: ", ".join(names) for column, names in found.items()}


def _mermaid(tables: Sequence[Relation], *, with_columns: bool) -> str:
    return "\n".join(
        [
            "```mermaid",
            "erDiagram",
            *(line for table in tables for line in (_entity(table) if with_columns else ())),
            *(line for table in tables for line in _lines(table)),
            "```",
        ]
    )


def _entity(table: Relation) -> Iterator[str]:
    keys = _keys(table)
    yield f"    {_entity_name(table.full_name)} {{"
    for column in table.columns:
        if column.name in keys:
            yield f"        {_short_type(column)} {column.name} {keys[column.name]}"
    yield "    }"


def _lines(table: Relation) -> Iterator[str]:
    nullable = {column.name for column in table.columns if column.nullable}
    unique = {frozenset(key.columns) for key in table.constraints if key.kind in {"primary key", "unique"}}
    for key in table.constraints:
        if key.kind == "foreign key":
            many = "o|" if frozenset(key.columns) in unique else "o{"
            one = "|o" if nullable & set(key.columns) else "||"
            yield f'    {_entity_name(key.references)} {one}--{many} {_entity_name(table.full_name)} : "{_label(key)}"'


def _label(key: Constraint) -> str:
    return ", ".join(key.columns)


def _entity_name(full_name: str) -> str:
    return f'"{full_name}"'


def _short_type(column: Column) -> str:
    return _SHORT_TYPES.get(column.type, re.sub(r"[^\w\[\]]", "_", column.type))
