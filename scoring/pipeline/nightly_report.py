"""Fill the nightly report from the warehouse and write it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from scoring.contract import is_synthetic
from scoring.errors import StorageUnavailable
from scoring.pipeline.run_folder import RunFolder
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from scoring.report.nightly_data import NightlyReport

SHOWN_JOINTS = 10
SHOWN_BATCHES = 8


def location(settings: Settings, batch_date: date) -> str:
    """Return the URL of a batch's report."""
    from upath import UPath

    return str(UPath(settings.report_url) / batch_date.isoformat() / "nightly.html")


def write(settings: Settings, run_id: str, discrepancies: Sequence[str]) -> str:
    """Write the report of a run.

    Args:
        settings: Settings of the installation.
        run_id: The run.
        discrepancies: Reasons why the run may not succeed; none if it succeeded.

    Returns:
        URL of the report.
    """
    from scoring.report.html import write_document
    from scoring.report.nightly import render_nightly_report

    report = _collect(settings, run_id, discrepancies)
    url = location(settings, report.batch_date)
    write_document(render_nightly_report(report), url)
    return url


def _collect(settings: Settings, run_id: str, discrepancies: Sequence[str]) -> "NightlyReport":
    """Read everything that the report shows, from the warehouse in one transaction and from the run folder."""
    import pandas as pd
    from upath import UPath

    from scoring.report.nightly_data import ModelFacts, NightlyReport
    from scoring.warehouse.engine import snapshot
    from scoring.warehouse.queries import analysis, nightly_report, runs

    with snapshot(connect.warehouse(settings)) as connection:
        run = runs.run_facts(connection, run_id)
        quarantined = _by_rule(nightly_report.quarantine_of_run(connection, run_id))
        row_counts = nightly_report.row_counts(connection, run_id)
        grades = nightly_report.grade_distribution(connection, SHOWN_BATCHES, run.batch_date)
        visits = analysis.visits_for_correlation(connection, run.batch_date, run.model_version)
        correlation = nightly_report.correlation_table(connection, run.batch_date, run.model_version)
        severe = nightly_report.most_severe_joints(connection, run.batch_date, SHOWN_JOINTS)
        uncertain = nightly_report.most_uncertain_joints(connection, run.batch_date, SHOWN_JOINTS)
    warnings = [quarantined[quarantined["kept"]], _unusable_late_files(settings, run_id)]
    reports = UPath(settings.report_url) / run.batch_date.isoformat()
    docs = f"data_docs/{run_id}/index.html"
    return NightlyReport(
        batch_date=run.batch_date,
        run_id=run_id,
        status="failed" if discrepancies else "succeeded",
        model=ModelFacts(
            version=run.model_version,
            weights_sha256=run.weights_sha256,
            trained_on_synthetic=run.trained_on_synthetic,
            preprocessing=run.preprocessing_version,
            engine=run.engine,
        ),
        code_revision=run.code_revision,
        started_at=run.started_at,
        # The report is written before the last step appends the result of the run.
        finished_at=run.finished_at or datetime.now(UTC),
        message="; ".join(discrepancies),
        synthetic_data=is_synthetic(UPath(settings.landing_url) / run.batch_date.isoformat()),
        row_counts=row_counts,
        late_files=_late_files(settings, run_id),
        quarantine=quarantined[~quarantined["kept"]],
        warnings=pd.concat(warnings, ignore_index=True),
        grade_distribution=grades,
        rau_points=_points(visits),
        correlation=correlation,
        severe_joints=_with_images(severe),
        uncertain_joints=_with_images(uncertain),
        data_docs=docs if (reports / docs).exists() else "",
        psql=connect.psql_line(settings),
    )


def _by_rule(quarantined: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    keys = ["rule", "dataset", "severity", "kept", "reason", "remedy"]
    rows = [
        {**dict(zip(keys, names, strict=True)), "n": len(found), "examples": sorted(found["row_key"])[:5]}
        for names, found in quarantined.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "n", "examples"]).astype({"kept": "bool"})


def _late_files(settings: Settings, run_id: str) -> "pd.DataFrame":
    from scoring.report.nightly_data import empty_frame

    folder = RunFolder(settings, run_id)
    if not folder.has("images.parquet"):
        return empty_frame("late_files")
    images = folder.read_frame("images.parquet")
    return images[images["late"]].groupby("batch_date").size().rename("n").reset_index()


def _unusable_late_files(settings: Settings, run_id: str) -> "pd.DataFrame":
    """Return the unusable files of earlier batches as warnings: they stop no run, so the report must mention them."""
    import pandas as pd

    from scoring.report.nightly_data import empty_frame

    folder = RunFolder(settings, run_id)
    unusable = folder.read_json("unusable.json") if folder.has("unusable.json") else {}
    rows = [
        {
            "rule": "landing.late_file_usable",
            "dataset": source_file.rsplit("/", 1)[-1].split(".", 1)[0],
            "severity": "warning",
            "n": 1,
            "reason": reason,
            "remedy": "Correct the file in its folder; the next nightly run reads it again.",
            "examples": [source_file],
        }
        for source_file, reason in unusable.items()
    ]
    return pd.DataFrame(rows, columns=list(empty_frame("warnings").columns))


def _points(visits: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per visit, DAS28 form and kind of Rau score, without any identifier."""
    from scoring.report.figure_style import DAS28_FORMS

    long = visits.melt(
        id_vars=["reported_rau", "predicted_rau"], value_vars=list(DAS28_FORMS), var_name="activity", value_name="das28"
    ).melt(id_vars=["activity", "das28"], var_name="damage", value_name="rau")
    return long.dropna(subset=["das28", "rau"])


def _with_images(joints: "pd.DataFrame") -> "pd.DataFrame":
    """Add the pixels of each joint's image; None if its file is not the accepted one any more."""
    import pandas as pd

    from scoring.imaging.loader import RejectedImage, load_grey

    def load(image_sha256: str, uri: str) -> "NDArray[np.uint8] | None":
        try:
            image = load_grey(image_sha256, uri)
        except StorageUnavailable:
            return None
        return None if isinstance(image, RejectedImage) else image

    images = pd.Series(
        [load(*each) for each in zip(joints["image_sha256"], joints["image_uri"], strict=True)],
        index=joints.index,
        dtype="object",
    )
    return joints.assign(image=images)
