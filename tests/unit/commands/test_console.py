import json
from datetime import date

import click
from click.testing import CliRunner

from scoring.cli import main
from scoring.commands.console import Table, show

RUNS = Table("runs", "Runs", [{"batch": date(2026, 11, 21), "95 % interval": "1 to 2", "images": 3, "report": None}])


def test_show_prints_one_table_as_a_json_list(capsys):
    show(RUNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"batch": "2026-11-21", "95_interval": "1 to 2", "images": 3, "report": None}
    ]


def test_show_prints_several_tables_and_values_as_a_json_object(capsys):
    show(RUNS, Table("checksums", "Checksums"), as_json=True, champion="phantom-3")
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["runs", "checksums", "champion"]
    assert found["checksums"] == []


def test_show_prints_a_table_with_its_title_and_values_below(capsys):
    show(RUNS, as_json=False, champion="phantom-3")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Runs"
    assert lines[-1] == "champion   phantom-3"


def test_help_lists_every_command_under_a_heading_in_80_columns():
    shown = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    headings = ["Batches:", "Models:", "Analysis:", "Warehouse:", "Synthetic data:"]
    positions = [shown.index(heading) for heading in headings]
    assert positions == sorted(positions)
    lines = shown.splitlines()
    for name in main.commands:
        [line] = [line for line in lines if line.strip().startswith(f"{name} ")]
        # A summary that is cut ends with dots, one that is too long continues on the next line.
        assert line.endswith(".")
        assert not line.endswith("...")
        assert len(line) <= 80


def test_help_of_every_command_has_an_example():
    for name in main.commands:
        shown = CliRunner().invoke(main, [name, "--help"]).output
        assert f"Example: scoring {name}" in shown or f"scoring {name}" in shown.partition("Example: ")[2]


def test_every_command_that_prints_a_table_offers_json():
    for name, command in main.commands.items():
        prints_table = command.callback is not None and "show" in command.callback.__code__.co_names
        has_json = any("--json" in option.opts for option in command.params if isinstance(option, click.Option))
        assert has_json == prints_table, name
