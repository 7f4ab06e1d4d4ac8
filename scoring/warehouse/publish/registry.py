"""Publish what validation accepted of the registry's datasets, and what it refused."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from psycopg2 import sql  # type: ignore[import-untyped]
from sqlalchemy.engine import Connection

from scoring.clinical import das28
from scoring.warehouse.bulk import UpsertCounts, stage, upsert
from scoring.warehouse.engine import driver_connection

_PROVENANCE = ("batch_date", "first_batch_date", "run_id", "source_file", "row_number")
_RADIOGRAPH_PROVENANCE = ("batch_date", "first_batch_date", "run_id")
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


def publish_registry(  # noqa: PLR0917 - what a night delivers, in the order in which it is staged
    connection: Connection,
    run_id: UUID | str,
    consultations: pd.DataFrame,
    readings: pd.DataFrame,
    disease_activity: pd.DataFrame,
    landed_readings: pd.DataFrame,
) -> dict[str, UpsertCounts]:
    """Write the accepted rows of the three datasets, and the radiographs that the consultations name.

    A run may see several landing folders; they are written from the oldest to the newest, so that a record that is in
    two of them ends with what the newer one says. A radiograph has one date, whatever its consultations say of it: by the
    newest folder, and in that by the latest reading. A reading that its consultation no longer holds in a newer folder
    is marked as withdrawn, and stands again when a still newer one brings it again.

    Args:
        connection: Inside the publishing transaction, which holds the publish lock.
        run_id: A run that is open.
        consultations: Accepted rows in the shape in which landing stages them.
        readings: Accepted rows in the shape in which landing stages them; their consultations are in `consultations`.
        disease_activity: Accepted rows in the shape in which landing stages them.
        landed_readings: id_x, joint and batch_date of all readings that landed; one that was refused has not been
            withdrawn, so what an older folder gave stands.

    Returns:
        Counts for `consultations`, `readings` and `disease_activity`; each adds up to the frame's rows.

    Raises:
        BadInput: Two rows of one folder share a key.
    """
    consulted = _consultations(consultations, run_id)
    read = _readings(readings, consultations, run_id)
    _upsert_by_folder(connection, "registry.radiograph", _radiographs(consulted), ("sop_iuid",), _RADIOGRAPH)
    consulted = _dated_by_radiograph(connection, consulted)
    counts = {
        "consultations": _upsert_by_folder(connection, "registry.consultation", consulted, ("id_x",), _CONSULTATION),
        "readings": _upsert_by_folder(connection, "registry.joint_reading", read, ("id_x", "joint"), _READING),
        "disease_activity": _upsert_by_folder(
            connection,
            "registry.disease_activity",
            _activity(disease_activity, run_id),
            ("patient_id", "visit_date"),
            _ACTIVITY,
        ),
    }
    _date_other_readings(connection, run_id, consulted)
    _withdraw(connection, run_id, consulted, landed_readings)
    return counts


def publish_landing_files(connection: Connection, run_id: UUID | str, sha256s: Mapping[str, str]) -> UpsertCounts:
    """Remember the content of the table files that this run published, so that a late run reads only what changed.

    Args:
        connection: The transaction that publishes their rows.
        run_id: A run that is open.
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


def _upsert_by_folder(
    connection: Connection, table: str, frame: pd.DataFrame, key: Sequence[str], payload: Sequence[str]
) -> UpsertCounts:
    provenance = _PROVENANCE if "source_file" in frame.columns else _RADIOGRAPH_PROVENANCE
    counts = UpsertCounts()
    for _, folder in frame.groupby("batch_date", sort=True):
        counts += upsert(connection, table, folder, key=key, payload=payload, provenance=provenance, newer_wins=True)
    return counts


def _with_origin(frame: pd.DataFrame, run_id: UUID | str) -> pd.DataFrame:
    return frame.assign(batch_date=frame["batch_date"], first_batch_date=frame["batch_date"], run_id=str(run_id))


def _consultations(frame: pd.DataFrame, run_id: UUID | str) -> pd.DataFrame:
    names = {"date_x": "visit_date", "date_y": "read_on", "rau_score": "reported_rau"}
    return _with_origin(frame.rename(columns=names), run_id)


def _radiographs(consulted: pd.DataFrame) -> pd.DataFrame:
    """One row a radiograph and folder: what the latest reading of it says."""
    named = consulted[consulted["sop_iuid"].notna()]
    columns = ["sop_iuid", *_RADIOGRAPH, *_RADIOGRAPH_PROVENANCE]
    return named.sort_values(["read_on", "id_x"], na_position="first").drop_duplicates(
        ["sop_iuid", "batch_date"], keep="last"
    )[columns]


def _dated_by_radiograph(connection: Connection, consulted: pd.DataFrame) -> pd.DataFrame:
    """Consultations with the date of their radiograph: else one radiograph was two visits, and its second reading progression."""
    found = connection.execute(
        sa.text("SELECT sop_iuid, visit_date FROM registry.radiograph WHERE sop_iuid = ANY(:radiographs)"),
        {"radiographs": _radiograph_ids(consulted)},
    )
    dates = {row.sop_iuid: row.visit_date for row in found}
    return consulted.assign(
        visit_date=[
            dates.get(radiograph, day)
            for radiograph, day in zip(consulted["sop_iuid"], consulted["visit_date"], strict=True)
        ]
    )


def _date_other_readings(connection: Connection, run_id: UUID | str, consulted: pd.DataFrame) -> None:
    """The same for consultations of these radiographs that were published before; their former date is a correction."""
    connection.execute(
        sa.text(
            "UPDATE registry.consultation AS c SET visit_date = r.visit_date, run_id = CAST(:run_id AS uuid)"
            " FROM registry.radiograph AS r"
            " WHERE r.sop_iuid = ANY(:radiographs) AND c.sop_iuid = r.sop_iuid AND c.visit_date <> r.visit_date"
        ),
        {"run_id": str(run_id), "radiographs": _radiograph_ids(consulted)},
    )


def _radiograph_ids(consulted: pd.DataFrame) -> list[str]:
    return sorted(set(consulted["sop_iuid"].dropna()))


def _readings(frame: pd.DataFrame, consultations: pd.DataFrame, run_id: UUID | str) -> pd.DataFrame:
    # By the line of the file, not by id_x: two folders may hold the same consultation with other dates.
    read_on = consultations.drop_duplicates(["source_file", "row_number"])[["source_file", "row_number", "date_y"]]
    merged = frame.merge(read_on, on=["source_file", "row_number"], how="left", validate="many_to_one")
    return _with_origin(merged.rename(columns={"date_y": "read_on"}), run_id)


# By the consultation's folders of this run, and by the newest one of an earlier run if that was newer still: a folder
# that is read late must know what came after it. What that one held is known from its readings, and the quarantine.
_WITHDRAW = """
WITH lacking AS (
    SELECT r.id_x, r.joint, min(c.batch_date) AS folder
    FROM registry.joint_reading AS r
    INNER JOIN {consulted} AS c ON c.id_x = r.id_x AND c.batch_date >= r.batch_date
    WHERE NOT EXISTS (
        SELECT FROM {landed} AS l WHERE l.id_x = r.id_x AND l.joint = r.joint AND l.batch_date = c.batch_date
    )
    GROUP BY r.id_x, r.joint
),
lacking_since AS (
    SELECT r.id_x, r.joint, newest.batch_date AS folder
    FROM registry.joint_reading AS r
    INNER JOIN registry.consultation AS newest ON newest.id_x = r.id_x AND newest.batch_date > r.batch_date
    WHERE NOT EXISTS (
        SELECT FROM {consulted} AS c WHERE c.id_x = newest.id_x AND c.batch_date = newest.batch_date
    ) AND NOT EXISTS (
        SELECT FROM scoring.quarantine AS q
        WHERE q.row_key = newest.source_file || ':' || newest.row_number || ':' || r.joint
            AND NOT q.kept AND q.resolved_at IS NULL
    )
),
decided AS (
    SELECT
        r.id_x,
        r.joint,
        least(
            CASE WHEN r.withdrawn_on > r.batch_date THEN r.withdrawn_on END, lacking.folder, lacking_since.folder
        ) AS withdrawn_on
    FROM registry.joint_reading AS r
    LEFT JOIN lacking USING (id_x, joint)
    LEFT JOIN lacking_since USING (id_x, joint)
    WHERE r.id_x IN (SELECT c.id_x FROM {consulted} AS c)
)

UPDATE registry.joint_reading AS r
SET withdrawn_on = decided.withdrawn_on, run_id = %(run_id)s
FROM decided
WHERE decided.id_x = r.id_x AND decided.joint = r.joint AND decided.withdrawn_on IS DISTINCT FROM r.withdrawn_on
"""


def _withdraw(
    connection: Connection, run_id: UUID | str, consulted: pd.DataFrame, landed_readings: pd.DataFrame
) -> None:
    if consulted.empty:
        return
    landed = landed_readings[["id_x", "joint", "batch_date"]].rename(columns={"batch_date": "batch_date"})
    staged = {
        "consulted": stage(connection, "registry.consultation", consulted, ["id_x", "batch_date"]),
        "landed": stage(connection, "registry.joint_reading", landed, ["id_x", "joint", "batch_date"]),
    }
    with driver_connection(connection).cursor() as cursor:
        cursor.execute(sql.SQL(_WITHDRAW).format(**staged), {"run_id": str(run_id)})


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
