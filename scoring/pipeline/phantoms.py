"""Synthetic nights for a landing folder that has none."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from scoring.errors import InvalidRequest
from scoring.settings import Settings


def write(
    settings: Settings,
    landing_url: str | None,
    *,
    patients: int,
    nights: int,
    last_night: date,
    seed: int,
    difficulty: str,
    faults: Sequence[str],
    if_empty: bool,
) -> list[dict[str, Any]]:
    """Write synthetic nights in the landing layout. Returns one row a night.

    With `if_empty` nothing is written, and nothing returned, if the folder has anything in it or is not the one of a
    first try: an empty drop zone of a hospital must not fill up with synthetic patients.

    Raises:
        InvalidRequest: A fault or the difficulty is unknown.
    """
    from upath import UPath

    from scoring.phantom.difficulty import difficulty_named
    from scoring.phantom.faults import FAULTS
    from scoring.phantom.nights import write_nights

    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise InvalidRequest(f"no fault {', '.join(unknown)}; `scoring phantom --list-faults` names them")
    landing_url = landing_url or settings.landing_url
    root = UPath(landing_url)
    own = landing_url == str(settings.var_dir / "landing") and settings.warehouse_url is None
    if if_empty and (not own or (root.is_dir() and any(True for _ in root.iterdir()))):
        return []
    written = write_nights(
        landing_url,
        n_patients=patients,
        seed=seed,
        difficulty=difficulty_named(difficulty),
        first_night=last_night - timedelta(days=nights - 1),
        nights=nights,
        faults=tuple(faults),
    )
    return [
        {
            "night": night.folder_date,
            "consultations": night.n_consultations,
            "readings": night.n_readings,
            "disease activity": night.n_disease_activity,
            "images": night.n_images,
            "faults": ", ".join(effect.name for effect in night.effects),
        }
        for night in written
    ]


def fault_catalogue() -> list[dict[str, Any]]:
    """Every fault with what the books say of it."""
    from scoring.phantom.faults import FAULTS

    return [{"fault": name, "what it does": (fault.__doc__ or "").strip()} for name, fault in FAULTS.items()]
