"""Series of Rau scores and DAS28 in a warehouse, as the nightly runs of a batch leave them."""

from datetime import date
from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Engine

from scoring.warehouse.bulk import upsert
from scoring.warehouse.engine import transaction
from tests.lib.staged import MODEL, PREPROCESSING

_ACTIVITY = ["physician_global", "patient_global", "das28_esr_reported", "das28_crp3_reported", "swollen_28"]
_ACTIVITY += ["tender_28", "esr", "crp", "das28_esr4", "das28_esr3", "das28_crp4", "das28_crp3"]


def write_scores(
    engine: Engine, radiographs: pd.DataFrame, visits: pd.DataFrame, batch_date: date, run_id: UUID
) -> None:
    """Write radiographs with reported and predicted scores, and the disease activity of visits.

    Args:
        engine: The job's connection.
        radiographs: One row per visit: patient_id, visit_date, reported_rau, rau_expected, rau_q05, rau_q95, n_scored.
        visits: patient_id, visit_date and columns of DAS28.
        batch_date: The batch that delivered them.
        run_id: The run that published them.
    """
    origin = {"batch_date": batch_date, "first_batch_date": batch_date, "run_id": str(run_id)}
    origin |= {"source_file": "x.csv", "row_number": 2}
    names = radiographs["patient_id"] + "." + radiographs["visit_date"].astype("str")
    taken = radiographs.assign(**origin, sop_iuid=names, id_x=names, body_part=None, read_on=None)
    scored = taken.assign(
        model_version=MODEL,
        preprocessing_version=PREPROCESSING,
        rau_median=taken["rau_expected"],
        rau_from_grades=taken["rau_expected"],
    )
    with transaction(engine) as connection:
        upsert(connection, "registry.radiograph", taken)
        upsert(connection, "registry.consultation", taken)
        activity = visits.reindex(columns=["patient_id", "visit_date", *_ACTIVITY]).assign(**origin)
        upsert(connection, "registry.disease_activity", activity)
        for scope, sop_iuid in (("radiograph", names), ("visit", "")):
            upsert(connection, "scoring.rau_prediction", scored.assign(scope=scope, sop_iuid=sop_iuid))
