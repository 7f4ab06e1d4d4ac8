"""What all commands share: the group with its headings, exit codes, tables, progress bar and argument types."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table as RichTable

from scoring.errors import ScoringError
from scoring.pipeline.batch_date import parse_batch_date
from scoring.progress import Progress

stderr = Console(stderr=True)
# A pipe or a log file has no width; a table cut to 80 columns would lose content.
stdout = Console(width=None if sys.stdout.isatty() else 170)


class CommandGroup(click.Group):
    """A group that lists its commands under headings, and that ends with the exit code of a `ScoringError`."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - of click
        """Write one list of commands per heading."""
        width = max(len(name) for name in self.commands)
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{command.name:<{width}}", command.get_short_help_str(limit=90)) for command in commands]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. A `ScoringError` becomes a message and an exit code instead of a traceback."""
        try:
            return super().invoke(ctx)
        except ScoringError as error:
            stderr.print(f"[bold red]{type(error).__name__}[/]: ", end="")
            stderr.print(str(error), markup=False, highlight=False)
            ctx.exit(error.exit_code)


class BatchDate(click.ParamType[date]):
    """A batch date, YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the date, or fail with a usage error."""
        try:
            return value if isinstance(value, date) else parse_batch_date(value)
        except ScoringError as error:
            self.fail(str(error), param, ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@dataclass(frozen=True)
class Table:
    """Rows of equal keys to print.

    Attributes:
        key: Name of the table in JSON output.
        title: What the rows are.
        rows: The rows; a key is a column heading.
    """

    key: str
    title: str
    rows: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Show a progress bar on stderr; yields the callback that moves it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total)


def show(*tables: Table, as_json: bool, **values: str) -> None:
    """Print tables and labelled values on stdout.

    Args:
        tables: The tables.
        as_json: Print one JSON document: a list if there is a single table and no value, else an object.
        values: Labelled values, printed as lines below the tables.
    """
    if as_json:
        content: Any = {table.key: [_json_row(row) for row in table.rows] for table in tables} | values
        if len(tables) == 1 and not values:
            content = content[tables[0].key]
        click.echo(json.dumps(content, indent=2, ensure_ascii=False, default=_json_value))
        return
    for table in tables:
        stdout.print(_rich(table))
    for label, value in values.items():
        click.echo(f"{label:<10} {value}")


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, column in enumerate(table.rows[0] if table.rows else ("(no rows)",)):
        numeric = bool(table.rows) and isinstance(table.rows[0][column], (int, float))
        justify: Literal["right", "left"] = "right" if numeric else "left"
        # The first column identifies the row, so it is never cut.
        shown.add_column(column, justify=justify, no_wrap=number == 0)
    for row in table.rows:
        shown.add_row(*("" if value is None else str(value) for value in row.values()))
    return shown


def _json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with headings as JSON keys: "95 % interval" becomes "95_interval"."""
    return {re.sub(r"\W+", "_", heading).strip("_").lower(): value for heading, value in row.items()}


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)
