"""What decides whether a nightly run succeeds: reads the counts, and leaves the decision to `reconciliation`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scoring.pipeline import reconciliation
from scoring.pipeline.run import Run
from scoring.pipeline.run_folder import RunFolder
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def discrepancies(settings: Settings, run: Run, unfinished: Sequence[str]) -> list[str]:
    """List every reason why the run may not succeed, counted from the staged files and the warehouse."""
    from scoring.warehouse.queries import nightly

    folder = RunFolder(settings, run.run_id)
    staged = {
        dataset: folder.n_rows(f"{dataset}.parquet")
        for dataset in reconciliation.DATASETS
        if folder.has(f"{dataset}.parquet")
    }
    n_unpredicted, waiting = 0, []
    if folder.has("published_images.parquet"):
        hashes = sorted(set(folder.read_frame("published_images.parquet")["sha256"]))
        with connect.transaction(settings) as connection:
            scored = nightly.already_scored(connection, hashes, run.model_version, run.preprocessing_version)
            waiting = _waiting_for_new_champion(connection, run, hashes)
        n_unpredicted = len(hashes) - len(scored)
    recorded = row_counts(settings, run)
    return reconciliation.batch_discrepancies(recorded, staged, n_unpredicted, folder.failures(), unfinished) + waiting


def _waiting_for_new_champion(connection: "Connection", run: Run, hashes: Sequence[str]) -> list[str]:
    """Report images without a prediction of the champion, if the champion changed during the run."""
    from scoring.warehouse.queries import models as known_models
    from scoring.warehouse.queries import nightly

    champion = known_models.champion(connection)
    if champion is None or champion["model_version"] == run.model_version:
        return []
    scored = nightly.already_scored(connection, hashes, champion["model_version"], champion["preprocessing_version"])
    n_waiting = len(hashes) - len(scored)
    if not n_waiting:
        return []
    message = (
        f"images: {n_waiting} wait for a prediction of {champion['model_version']}, which became the champion while "
        f"the batch was scored with {run.model_version}; run `scoring rescore` (the DAG rescoring), then this batch "
        "again"
    )
    return [message]


def row_counts(settings: Settings, run: Run) -> dict[str, reconciliation.RowCounts]:
    """Return the row counts that the publishing steps have recorded, by dataset."""
    from scoring.warehouse.queries import runs

    counts = runs.row_counts(connect.warehouse(settings), run.run_id)
    return {dataset: reconciliation.RowCounts(*of_dataset) for dataset, of_dataset in counts.items()}
