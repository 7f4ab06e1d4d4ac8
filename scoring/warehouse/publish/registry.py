"""Writes the accepted registry records of a batch."""

from collections.abc import Mapping
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.clinical import das28
from scoring.warehouse.bulk import UpsertCounts, stage, upsert
from scoring.warehouse.statements import statement

_NAMES = {
    "date_x": "visit_date",
    "date_y": "read_on",
    "rau_score": "reported_rau",
    "date": "visit_date",
    "physician_global_disease_activity": "physician_global",
    "global_patient_estimate_disease_activity": "patient_global",
    "das28bsr_score": "das28_esr_reported",
    "das283crp_score": "das28_crp3_reported",
}
"""Columns of the warehouse by their names in the landing contract."""


def publish_registry(  # noqa: PLR0917 - the datasets in the order in which they are staged
    connection: Connection,
    run_id: UUID | str,
    consultations: pd.DataFrame,
    readings: pd.DataFrame,
    disease_activity: pd.DataFrame,
    received_readings: pd.DataFrame,
) -> dict[str, UpsertCounts]:
    """Write the accepted rows of the three datasets, and the radiographs named by the consultations.

    Batches are written from the oldest to the newest, so that the values of the newest one remain. Each radiograph has
    one date: the one in its newest batch, by its latest reading there. A reading is withdrawn by a newer batch in which
    its consultation no longer contains it, and restored by a still newer one that contains it again.

    Args:
        connection: Inside the publishing transaction, which holds the publishing lock.
        run_id: An open run.
        consultations: Accepted rows as staged.
        readings: Accepted rows as staged; `consultations` contains their consultations.
        disease_activity: Accepted rows as staged.
        received_readings: id_x, joint and batch_date of all received readings. A reading that was quarantined is not
            withdrawn: its value from an older batch remains.

    Returns:
        Counts for `consultations`, `readings` and `disease_activity`; each adds up to the rows of its frame.

    Raises:
        BadInput: Two rows of one batch have the same key.
    """
    consulted, activity = consultations.rename(columns=_NAMES), disease_activity.rename(columns=_NAMES)
    # Joined by file and row, because two batches may contain the same id_x with different dates.
    row = ["source_file", "row_number"]
    read_on = consulted.drop_duplicates(row)[[*row, "read_on"]]
    read = readings.merge(read_on, on=row, how="left", validate="many_to_one")
    _upsert_batches(connection, run_id, "radiograph", _radiographs(consulted))
    consulted = _dated_by_radiograph(connection, consulted)
    counts = {
        "consultations": _upsert_batches(connection, run_id, "consultation", consulted),
        "readings": _upsert_batches(connection, run_id, "joint_reading", read),
        "disease_activity": _upsert_batches(connection, run_id, "disease_activity", _with_das28(activity)),
    }
    _date_earlier_consultations(connection, run_id, consulted)
    if not consulted.empty:
        stage(connection, "registry.consultation", consulted[["id_x", "batch_date"]])
        stage(connection, "registry.joint_reading", received_readings[["id_x", "joint", "batch_date"]])
        connection.execute(statement("withdraw_readings"), {"run_id": run_id})
    return counts


def publish_landing_files(connection: Connection, run_id: UUID | str, sha256s: Mapping[str, str]) -> UpsertCounts:
    """Record the table files that this transaction publishes, so that later runs read only changed files.

    `sha256s` has the SHA-256 of each file, by its name relative to the landing zone.
    """
    files = pd.DataFrame({"source_file": list(sha256s), "sha256": list(sha256s.values())}, dtype="str")
    rows = files.assign(run_id=str(run_id), published_at=pd.Timestamp.now(tz="UTC"))
    return upsert(connection, "registry.landing_file", rows)


def _upsert_batches(connection: Connection, run_id: UUID | str, table: str, frame: pd.DataFrame) -> UpsertCounts:
    rows = frame.assign(first_batch_date=frame["batch_date"], run_id=str(run_id))
    counts = UpsertCounts()
    for _, batch in rows.groupby("batch_date", sort=True):
        counts += upsert(connection, f"registry.{table}", batch, newer_wins=True)
    return counts


def _radiographs(consulted: pd.DataFrame) -> pd.DataFrame:
    """Return one row per radiograph and batch, from the latest reading."""
    named = consulted[consulted["sop_iuid"].notna()].sort_values(["read_on", "id_x"], na_position="first")
    return named.drop_duplicates(["sop_iuid", "batch_date"], keep="last")


def _dated_by_radiograph(connection: Connection, consulted: pd.DataFrame) -> pd.DataFrame:
    """Give consultations the date of their radiograph: otherwise a second reading would look like a second visit."""
    found = connection.execute(
        sa.text("SELECT sop_iuid, visit_date FROM registry.radiograph WHERE sop_iuid = ANY(:sop_iuids)"),
        {"sop_iuids": _sop_iuids(consulted)},
    )
    dates = {row.sop_iuid: row.visit_date for row in found}
    pairs = zip(consulted["sop_iuid"], consulted["visit_date"], strict=True)
    return consulted.assign(visit_date=[dates.get(sop_iuid, visit_date) for sop_iuid, visit_date in pairs])


def _date_earlier_consultations(connection: Connection, run_id: UUID | str, consulted: pd.DataFrame) -> None:
    """Do the same for earlier consultations of these radiographs; their former date is recorded as corrected."""
    connection.execute(
        sa.text(
            "UPDATE registry.consultation AS c SET visit_date = r.visit_date, run_id = :run_id"
            " FROM registry.radiograph AS r"
            " WHERE r.sop_iuid = ANY(:sop_iuids) AND c.sop_iuid = r.sop_iuid AND c.visit_date <> r.visit_date"
        ),
        {"run_id": run_id, "sop_iuids": _sop_iuids(consulted)},
    )


def _sop_iuids(consulted: pd.DataFrame) -> list[str]:
    return sorted(set(consulted["sop_iuid"].dropna()))


def _with_das28(activity: pd.DataFrame) -> pd.DataFrame:
    components = ("tender_28", "swollen_28", "esr", "crp", "patient_global")
    tender, swollen, esr, crp, patient_global = (activity[name].astype("float64").to_numpy() for name in components)
    return activity.assign(
        das28_esr4=das28.das28_esr(tender, swollen, esr, patient_global),
        das28_esr3=das28.das28_esr(tender, swollen, esr),
        das28_crp4=das28.das28_crp(tender, swollen, crp, patient_global),
        das28_crp3=das28.das28_crp(tender, swollen, crp),
    )
