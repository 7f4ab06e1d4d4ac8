"""The command phantom: synthetic batches with known truth."""

from datetime import date, timedelta
from typing import Any

import click

from scoring.commands.console import BatchDate, Table, json_option, progress_bar, show
from scoring.settings import Settings, get_settings


@click.command("phantom")
@click.option("--patients", default=40, show_default=True, type=click.IntRange(1, 100_000), help="Number of patients.")
@click.option("--batches", default=3, show_default=True, type=click.IntRange(1, 366), help="Number of batches.")
@click.option("--last-batch", type=BatchDate(), help="Date of the last batch; default: yesterday.")
@click.option("--seed", default=1, show_default=True, help="Random seed; equal seeds give equal files.")
@click.option("--difficulty", default="plain", show_default=True, help="Images: plain, or lifelike (harder).")
@click.option("--fault", "faults", multiple=True, help="Fault in the last batch; see --list-faults. May be repeated.")
@click.option("--list-faults", is_flag=True, help="List every fault and its expected row counts.")
@click.option("--landing", help="Folder to write to; default: the landing folder of this installation.")
@click.option("--if-empty", is_flag=True, help="Write only if the default landing folder is empty.")
@json_option
def phantom_command(list_faults: bool, as_json: bool, **options: Any) -> None:
    """Write synthetic batches into the landing folder.

    Each batch contains registry records and joint images with known erosion.

    Example: scoring phantom --patients 40 --batches 3 --fault truncated --fault percent_120
    """
    if list_faults:
        from scoring.phantom.faults import FAULTS

        rows = [{"fault": name, "effect": fault.__doc__} for name, fault in FAULTS.items()]
        show(Table("faults", "Faults", rows), as_json=as_json)
        return
    with progress_bar("drawing synthetic joints"):
        written = write(get_settings(), **options)
    if written:
        show(Table("batches", "Synthetic batches", written), as_json=as_json)
    else:
        click.echo("No synthetic batch was written: the landing folder is not empty or not the default.", err=True)


def write(
    settings: Settings,
    *,
    landing: str | None,
    patients: int,
    batches: int,
    last_batch: date | None,
    seed: int,
    difficulty: str,
    faults: tuple[str, ...],
    if_empty: bool,
) -> list[dict[str, Any]]:
    """Write synthetic batches in the landing layout, and return one row per batch.

    With `if_empty`, they are written only if the folder is empty and the default one next to the embedded server: the
    empty landing folder of a hospital must not fill with synthetic patients.

    Raises:
        InvalidRequest: A fault or the difficulty is unknown.
    """
    from upath import UPath

    from scoring.phantom.batches import write_batches
    from scoring.phantom.difficulty import difficulty_named
    from scoring.phantom.faults import check_fault_names

    check_fault_names(faults)
    landing_url = landing or settings.landing_url
    root = UPath(landing_url)
    is_default = landing_url == str(settings.var_dir / "landing") and settings.warehouse_url is None
    if if_empty and (not is_default or (root.is_dir() and any(True for _ in root.iterdir()))):
        return []
    last_batch = last_batch or date.today() - timedelta(days=1)  # noqa: DTZ011 - the user's own calendar
    written = write_batches(
        landing_url,
        n_patients=patients,
        seed=seed,
        difficulty=difficulty_named(difficulty),
        first_batch=last_batch - timedelta(days=batches - 1),
        batches=batches,
        faults=faults,
    )
    return [
        {
            "batch": batch.batch_date,
            "consultations": batch.n_consultations,
            "readings": batch.n_readings,
            "disease activity": batch.n_disease_activity,
            "images": batch.n_images,
            "faults": ", ".join(effect.name for effect in batch.effects),
        }
        for batch in written
    ]
