"""Writes the accepted registry records of a batch."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.clinical import das28
from scoring.warehouse.bulk import UpsertCounts, stage, upsert
from scoring.warehouse.statements import statement

_RADIOGRAPH = ("patient_id", "visit_date", "body_part")
_CONSULTATION = ("patient_id", "visit_date", "read_on", "sop_iuid", "body_part", "reported_rau")
_READING = ("sop_iuid", "patient_id", "reading_percent", "read_on")
_ACTIVITY = (
    "physician_global",
    "patient_global",
    "das28_esr_reported",
    "das28_crp3_reported",
    "swollen_28",
    "tender_28",
    "esr",
    "crp",
    "das28_esr4",
    "das28_esr3",
    "das28_crp4",
    "das28_crp3",
)
_RADIOGRAPH_PROVENANCE = ("batch_date", "first_batch_date", "run_id")
_PROVENANCE = (*_RADIOGRAPH_PROVENANCE, "source_file", "row_number")


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
    consulted = _with_origin(
        consultations.rename(columns={"date_x": "visit_date", "date_y": "read_on", "rau_score": "reported_rau"}), run_id
    )
    read = _readings(readings, consultations, run_id)
    activity = _activity(disease_activity, run_id)
    _upsert_by_batch(connection, "registry.radiograph", _radiographs(consulted), ("sop_iuid",), _RADIOGRAPH)
    consulted = _dated_by_radiograph(connection, consulted)
    counts = {
        "consultations": _upsert_by_batch(connection, "registry.consultation", consulted, ("id_x",), _CONSULTATION),
        "readings": _upsert_by_batch(connection, "registry.joint_reading", read, ("id_x", "joint"), _READING),
        "disease_activity": _upsert_by_batch(
            connection, "registry.disease_activity", activity, ("patient_id", "visit_date"), _ACTIVITY
        ),
    }
    _date_earlier_consultations(connection, run_id, consulted)
    if not consulted.empty:
        stage(connection, "registry.consultation", consulted, ["id_x", "batch_date"])
        stage(connection, "registry.joint_reading", received_readings, ["id_x", "joint", "batch_date"])
        connection.execute(statement("withdraw_readings"), {"run_id": str(run_id)})
    return counts


def publish_landing_files(connection: Connection, run_id: UUID | str, sha256s: Mapping[str, str]) -> UpsertCounts:
    """Record the content of the table files that a run published, so that later runs read only changed files.

    Args:
        connection: The transaction that publishes their rows.
        run_id: An open run.
        sha256s: SHA-256 of each file, by its name relative to the landing zone.
    """
    rows = pd.DataFrame({"source_file": list(sha256s), "sha256": list(sha256s.values())}, dtype="str").assign(
        run_id=str(run_id), published_at=pd.Timestamp.now(tz="UTC")
    )
    return upsert(
        connection,
        "registry.landing_file",
        rows,
        key=("source_file",),
        payload=("sha256",),
        provenance=("run_id", "published_at"),
    )


def _upsert_by_batch(
    connection: Connection, table: str, frame: pd.DataFrame, key: Sequence[str], payload: Sequence[str]
) -> UpsertCounts:
    provenance = _PROVENANCE if "source_file" in frame.columns else _RADIOGRAPH_PROVENANCE
    counts = UpsertCounts()
    for _, batch in frame.groupby("batch_date", sort=True):
        counts += upsert(connection, table, batch, key=key, payload=payload, provenance=provenance, newer_wins=True)
    return counts


def _with_origin(frame: pd.DataFrame, run_id: UUID | str) -> pd.DataFrame:
    return frame.assign(first_batch_date=frame["batch_date"], run_id=str(run_id))


def _radiographs(consulted: pd.DataFrame) -> pd.DataFrame:
    """Return one row per radiograph and batch, from the latest reading."""
    named = consulted[consulted["sop_iuid"].notna()].sort_values(["read_on", "id_x"], na_position="first")
    columns = ["sop_iuid", *_RADIOGRAPH, *_RADIOGRAPH_PROVENANCE]
    return named.drop_duplicates(["sop_iuid", "batch_date"], keep="last")[columns]


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
            "UPDATE registry.consultation AS c SET visit_date = r.visit_date, run_id = CAST(:run_id AS uuid)"
            " FROM registry.radiograph AS r"
            " WHERE r.sop_iuid = ANY(:sop_iuids) AND c.sop_iuid = r.sop_iuid AND c.visit_date <> r.visit_date"
        ),
        {"run_id": str(run_id), "sop_iuids": _sop_iuids(consulted)},
    )


def _sop_iuids(consulted: pd.DataFrame) -> list[str]:
    return sorted(set(consulted["sop_iuid"].dropna()))


def _readings(frame: pd.DataFrame, consultations: pd.DataFrame, run_id: UUID | str) -> pd.DataFrame:
    # Joined by file and row, because two batches may contain the same id_x with different dates.
    row = ["source_file", "row_number"]
    read_on = consultations.drop_duplicates(row)[[*row, "date_y"]].rename(columns={"date_y": "read_on"})
    return _with_origin(frame.merge(read_on, on=row, how="left", validate="many_to_one"), run_id)


def _activity(frame: pd.DataFrame, run_id: UUID | str) -> pd.DataFrame:
    names = {
        "date": "visit_date",
        "physician_global_disease_activity": "physician_global",
        "global_patient_estimate_disease_activity": "patient_global",
        "das28bsr_score": "das28_esr_reported",
        "das283crp_score": "das28_crp3_reported",
    }
    named = _with_origin(frame.rename(columns=names), run_id)
    components = ("tender_28", "swollen_28", "esr", "crp", "patient_global")
    tender, swollen, esr, crp, patient_global = (named[name].astype("float64").to_numpy() for name in components)
    return named.assign(
        das28_esr4=das28.das28_esr(tender, swollen, esr, patient_global),
        das28_esr3=das28.das28_esr(tender, swollen, esr),
        das28_crp4=das28.das28_crp(tender, swollen, crp, patient_global),
        das28_crp3=das28.das28_crp(tender, swollen, crp),
    )
