"""Writes the reference pages that follow from the code: landing contract, settings, command line, error catalogue.

`tests/acceptance/test_docs.py` compares the pages with the code, and writes them if WRITE_DOCS=1 (`make docs`).
Without tests: `python -m docs.generate`.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click
from annotated_types import BaseMetadata
from pydantic.fields import FieldInfo

from docs.error_catalogue import error_catalogue
from docs.markdown import HEADER, page, table
from scoring import contract
from scoring.cli import SECTIONS, main
from scoring.clinical import joints
from scoring.settings import Settings


def pages() -> dict[str, Callable[[], str]]:
    """Return the functions that render the generated pages, by path below docs/."""
    return {
        "reference/landing_contract.md": landing_contract,
        "reference/settings.md": settings,
        "reference/cli.md": command_line,
        "reference/error_catalogue.md": error_catalogue,
    }


# ---------------------------------------------------------------------------------------------------------------------
# Landing contract

CONTRACT_INTRODUCTION = """# Landing contract

Files that the extractor and the registry deliver for each batch. Source: thesis (ZHAW 2017), Tables 2 and 3.

## Folder

```text
<landing>/2026-11-21/
    consultations.csv               one row per reading of a radiograph
    disease_activity.csv            one row per patient and visit
    joints/<sop_iuid>_<joint>.jpg   one image per joint
    _SUCCESS                        written last: the folder is complete
```

- The name of the folder is the batch date.
- `<landing>` is a local folder, `s3://...` or `sftp://...` (`SCORING_LANDING_URL`).
- A table can be `.parquet` instead of `.csv`.
- `<joint>` is the name of the joint's column in `consultations.csv`.
- `_SYNTHETIC` marks a folder written by `scoring phantom`.

## Tables

- The first line has the column names, in any order and case. Further columns are ignored.
- Dates are written `YYYY-MM-DD`.
- An empty cell is a missing value: a joint that was not read, or a value that was not measured.
- A file without a required column is rejected, and the run stops.
- Delimiter (comma, semicolon, tab, bar), decimal comma, line ends and encoding (UTF-8, UTF-16 with BOM, Windows-1252)
  are recognised.
- A row with more or fewer fields than the header is quarantined.

## Images

One JPEG per joint, grey or colour. The file name follows `SCORING_IMAGE_PATTERN`; sides have
`SCORING_MIN_IMAGE_SIDE` to `SCORING_MAX_IMAGE_SIDE` pixels.
"""

JOINTS_INTRODUCTION = """## Joint numbers

Hand columns run from the little finger to the thumb. The thumb has no PIP: its joint is the IP.
"""

WRISTS = """The wrists are `wrist_left` and `wrist_right`. PIP: proximal interphalangeal; MCP: metacarpophalangeal; IP:
interphalangeal; MTP: metatarsophalangeal.
"""


def landing_contract() -> str:
    """Render the landing contract with every column, unit and joint number."""
    sections = [HEADER, CONTRACT_INTRODUCTION]
    for dataset, columns in contract.COLUMNS.items():
        rows: list[Sequence[str]] = [
            (
                f"`{column.name}`",
                column.type,
                column.unit,
                "" if column.maximum is None else f"0 to {column.maximum:g}",
                "yes" if column.required else "",
                column.meaning,
            )
            for column in columns
        ]
        sections += [
            f"## {dataset}\n",
            table(("Column", "Type", "Unit", "Range", "Required", "Meaning"), rows),
        ]
    numbers = range(1, max(len(joints.HAND_NAMES), len(joints.FOOT_NAMES)) + 1)
    rows = [
        (
            str(number),
            _at(joints.HAND_NAMES, number),
            f"`hand_left_{number}`, `hand_right_{number}`" if number <= len(joints.HAND_NAMES) else "",
            _at(joints.FOOT_NAMES, number),
            f"`foot_left_{number}`, `foot_right_{number}`" if number <= len(joints.FOOT_NAMES) else "",
        )
        for number in numbers
    ]
    sections += [
        JOINTS_INTRODUCTION,
        table(("Number", "Hand joint", "Columns", "Foot joint", "Columns"), rows),
        WRISTS,
    ]
    return page(sections)


def _at(names: Sequence[str], number: int) -> str:
    return names[number - 1] if number <= len(names) else ""


# ---------------------------------------------------------------------------------------------------------------------
# Settings

SETTING_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Locations": ("var_dir", "landing_url", "staging_url", "report_url", "model_store_url"),
    "Warehouse": ("warehouse_url", "migration_url"),
    "Batches": (
        "timezone", "lookback_days", "success_marker", "image_pattern", "registry_source", "registry_sql_url",
    ),
    "Validation": ("max_bad_share", "min_rows_for_bad_share", "min_image_side", "max_image_side"),
    "Scoring": ("shard_size", "batch_size", "engine"),
    "Retraining": ("min_joints_of_grade", "min_training_patients", "max_subgroup_loss", "approvers"),
    "Provenance": ("code_revision",),
}  # fmt: skip

SETTINGS_INTRODUCTION = """# Settings

Every setting is an environment variable. All have defaults that work on a laptop.

- A variable takes precedence over the settings file.
- The settings file is named by `SCORING_ENV_FILE`; otherwise it is `.env` in the checkout or, for an installed package,
  in the working directory. `docker/.env.example` is a template.
- An empty value counts as unset.
- An invalid value stops a command with exit code 9. The message names the variable and never its value.
- `scoring info` shows all values, with secrets masked.
"""


def settings() -> str:
    """Render every field of the settings with its variable, type, default and limits."""
    fields = Settings.model_fields
    ungrouped = set(fields) ^ {name for names in SETTING_GROUPS.values() for name in names}
    if ungrouped:
        raise ValueError(f"Add or remove in SETTING_GROUPS: {', '.join(sorted(ungrouped))}.")
    sections = [HEADER, SETTINGS_INTRODUCTION]
    for heading, names in SETTING_GROUPS.items():
        rows = [
            (
                f"`SCORING_{name.upper()}`",
                _type(fields[name]),
                _default(name, fields[name]),
                _limits(fields[name]),
                fields[name].description or "",
            )
            for name in names
        ]
        sections += [f"## {heading}\n", table(("Variable", "Type", "Default", "Limits", "Meaning"), rows)]
    return page(sections)


def _type(field: FieldInfo) -> str:
    text = str(field.annotation)
    if choices := re.findall(r"'(\w+)'", text if text.startswith("typing.Literal") else ""):
        return ", ".join(f"`{choice}`" for choice in choices)
    for part, name in {"SecretStr": "URL (secret)", "int": "integer", "float": "number", "Path": "folder"}.items():
        if part in text:
            return name
    return "text"


def _default(name: str, field: FieldInfo) -> str:
    if name == "var_dir":
        return "`var` in the checkout"
    return "" if field.default in {None, ""} else f"`{field.default}`"


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits: Iterable[BaseMetadata] = field.metadata
    return ", ".join(
        f"{sign} {getattr(limit, name):g}" for limit in limits for name, sign in signs.items() if hasattr(limit, name)
    )


# ---------------------------------------------------------------------------------------------------------------------
# Command line

CLI_INTRODUCTION = """# Command line

All commands of `scoring`. Data are printed on stdout, logs and progress on stderr. `--json` prints JSON instead of
tables. Each kind of failure has its own [exit code](error_catalogue.md#exit-codes).

`scoring --help` lists the commands, and `scoring COMMAND --help` describes one.
"""


def command_line() -> str:
    """Render every command with its description, example and options."""
    sections = [HEADER, CLI_INTRODUCTION, "## Options of every command\n", _options(main)]
    for heading, commands in SECTIONS.items():
        sections.append(f"## {heading}\n")
        for command in commands:
            description, _, example = inspect.cleandoc(command.help or "").partition("\nExample: ")
            sections += [
                f"### {command.name}\n",
                "\n\n".join(" ".join(part.split()) for part in description.strip().split("\n\n")) + "\n",
                f"Example: `{' '.join(example.split())}`\n",
                _options(command),
            ]
    return page(sections)


def _options(command: click.Command) -> str:
    rows = []
    context = click.Context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Argument):
            rows.append((f"`{parameter.make_metavar(context)}`", "required", "Positional argument, without a name."))
            continue
        record = parameter.get_help_record(context)
        if record is None or "--help" in parameter.opts:
            continue
        names, text = record[0].replace(" RANGE", ""), record[1]
        text, _, extra = text.partition("  [")
        rows.append((f"`{names}`", _option_default(parameter, extra), text))
    return table(("Option", "Default", "Meaning"), rows) if rows else "No options.\n"


def _option_default(parameter: click.Parameter, extra: str) -> str:
    if parameter.required:
        return "required"
    found = re.search(r"default: ([^;\]]+)", extra)
    return f"`{found.group(1)}`" if found else ""


def write(docs: Path) -> None:
    """Write all pages."""
    for name, render in pages().items():
        (docs / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent)
