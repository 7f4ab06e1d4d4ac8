"""The command info: versions, settings, engines, model and schema of this installation."""

import platform
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import click
from pydantic import SecretStr

from scoring import __version__
from scoring.commands.console import Table, json_option, show
from scoring.errors import ScoringError
from scoring.settings import Settings, get_settings
from scoring.warehouse import connect

PACKAGES = ("tensorflow", "keras", "openvino", "numpy", "pandas", "sqlalchemy", "apache-airflow", "great-expectations")


@click.command("info")
@json_option
def info_command(as_json: bool) -> None:
    """Show versions, settings, engines, model and schema.

    Secrets are masked. An unavailable part, such as a stopped warehouse, is reported and does not make the command
    fail.

    Example: scoring info --json
    """
    settings = get_settings()
    show(
        Table("versions", "Versions", versions(settings)),
        Table("settings", "Settings", masked_settings(settings)),
        Table("engines", "Engines", engines()),
        Table("warehouse", "Warehouse", warehouse(settings)),
        as_json=as_json,
    )


def versions(settings: Settings) -> list[dict[str, str]]:
    """Return the versions of this package, Python and the main libraries."""
    own = {"bone-erosion-scoring": f"{__version__} ({settings.revision})", "python": platform.python_version()}
    found = own | {name: version(name) for name in PACKAGES}
    return [{"package": name, "version": number} for name, number in found.items()]


def masked_settings(settings: Settings) -> list[dict[str, str]]:
    """Return every setting with its environment variable; secrets and passwords in URLs are masked."""
    return [
        {"variable": f"SCORING_{name.upper()}", "value": _masked(getattr(settings, name))}
        for name in type(settings).model_fields
    ]


def engines() -> list[dict[str, Any]]:
    """Return the inference engines, and the precision and device that this machine offers."""
    from scoring.inference.engine import available_cpus
    from scoring.inference.engines import gpu_may_be_present
    from scoring.inference.openvino_engine import cpu_computes_bfloat16

    cpu = f"CPU, {available_cpus()} cores"
    return [
        {
            "engine": "openvino",
            "device": cpu,
            "precision": "bfloat16, float32" if cpu_computes_bfloat16() else "float32",
        },
        {"engine": "tensorflow", "device": "GPU" if gpu_may_be_present() else cpu, "precision": "float32"},
    ]


def warehouse(settings: Settings) -> list[dict[str, str]]:
    """Return server version, schema version and champion, or why they are not available."""
    from scoring.warehouse import migrate
    from scoring.warehouse.queries import models

    try:
        engine = connect.warehouse(settings)
        facts = {"server": migrate.server_version(engine)}
        migrate.check_current(engine)
        with connect.transaction(settings) as connection:
            champion = models.champion(connection)
    except ScoringError as error:
        return [{"item": type(error).__name__, "value": str(error)}]
    facts |= {"schema": migrate.head_revision(), "champion": champion["model_version"] if champion else "none yet"}
    return [{"item": item, "value": value} for item, value in facts.items()]


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********"
    text = "" if value is None else str(value)
    password = urlsplit(text).password if "://" in text else None
    return text.replace(f":{password}@", ":********@") if password else text
