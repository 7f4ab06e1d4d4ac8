"""Fill the night's page from the warehouse and write it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from scoring.pipeline import installation
from scoring.pipeline.staged import Staging
from scoring.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

SHOWN_JOINTS = 10
SHOWN_NIGHTS = 8


def location(settings: Settings, batch_date: date) -> str:
    """Where the page of a night lies."""
    from upath import UPath

    return str(UPath(settings.report_url) / batch_date.isoformat() / "night.html")


def write(settings: Settings, run_id: str, complaints: Sequence[str]) -> str:
    """Write the page of a run's night.

    Args:
        settings: The installation.
        run_id: The run.
        complaints: What keeps the night from being closed; none if it succeeded.

    Returns:
        Where the page lies.
    """
    import pandas as pd
    from upath import UPath

    from scoring.report.night import ModelFacts, NightReport
    from scoring.report.page import render_night, write_page
    from scoring.warehouse import nights, reads
    from scoring.warehouse.analytics import visits_for_correlation

    engine = installation.warehouse(settings)
    run = nights.run_facts(engine, run_id)
    books = reads.night_books(engine, run_id)
    refused = _by_rule(reads.quarantine_of_run(engine, run_id))
    docs = UPath(settings.report_url) / run.batch_date.isoformat() / "data_docs" / run_id / "index.html"
    report = NightReport(
        batch_date=run.batch_date,
        run_id=run_id,
        status="failed" if complaints else "succeeded",
        model=ModelFacts(
            version=run.model_version,
            weights_sha256=run.weights_sha256,
            trained_on_synthetic=run.trained_on_synthetic,
            preprocessing=run.preprocessing_version,
            engine=run.engine,
        ),
        code_revision=run.code_revision,
        started_at=run.started_at,
        # Written before the gate appends the result: the run ends with this page.
        finished_at=run.finished_at or datetime.now(UTC),
        message="; ".join(complaints),
        synthetic_data=_synthetic(settings, run.batch_date),
        books=books.dropna(subset=["dataset"]),
        late_files=_late_files(settings, run_id),
        quarantine=refused[~refused["kept"]],
        warnings=pd.concat([refused[refused["kept"]], _unusable_late_files(settings, run_id)], ignore_index=True),
        grade_distribution=reads.grade_distribution(engine, SHOWN_NIGHTS, run.batch_date),
        rau_points=_points(visits_for_correlation(engine, run.batch_date, run.model_version)),
        correlation=reads.correlation_table(engine, run.batch_date, run.model_version),
        worst_joints=_with_images(reads.most_severe_joints(engine, run.batch_date, SHOWN_JOINTS)),
        doubtful_joints=_with_images(reads.most_doubtful_joints(engine, run.batch_date, SHOWN_JOINTS)),
        data_docs=f"data_docs/{run_id}/index.html" if docs.exists() else "",
        psql=installation.psql_line(settings),
    )
    write_page(render_night(report), location(settings, run.batch_date))
    return location(settings, run.batch_date)


def _synthetic(settings: Settings, batch_date: date) -> bool:
    """Whether a night's folder carries the mark of `scoring phantom`."""
    from upath import UPath

    from scoring.phantom.nights import SYNTHETIC_MARKER

    return bool((UPath(settings.landing_url) / batch_date.isoformat() / SYNTHETIC_MARKER).exists())


def _by_rule(refused: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    keys = ["rule", "dataset", "severity", "kept", "reason", "remedy"]
    rows = [
        {**dict(zip(keys, names, strict=True)), "n": len(found), "examples": sorted(found["row_key"])[:5]}
        for names, found in refused.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "n", "examples"]).astype({"kept": "bool"})


def _late_files(settings: Settings, run_id: str) -> "pd.DataFrame":
    from scoring.report.night import empty_frame

    staging = Staging(settings, run_id)
    if not staging.has("images.parquet"):
        return empty_frame("late_files")
    images = staging.read_frame("images.parquet")
    return images[images["late"]].groupby("folder_date").size().rename("n").reset_index()


def _unusable_late_files(settings: Settings, run_id: str) -> "pd.DataFrame":
    """Files of earlier folders that were left out: they stop nothing, so the page has to say so."""
    import pandas as pd

    from scoring.report.night import empty_frame

    staging = Staging(settings, run_id)
    left_out = staging.read_json("unusable.json") if staging.has("unusable.json") else {}
    rows = [
        {
            "rule": "landing.late_file_usable",
            "dataset": source_file.rsplit("/", 1)[-1].split(".", 1)[0],
            "severity": "warning",
            "n": 1,
            "reason": reason,
            "remedy": "Mend the file in its folder; the next night looks at it again.",
            "examples": [source_file],
        }
        for source_file, reason in left_out.items()
    ]
    return pd.DataFrame(rows, columns=list(empty_frame("warnings").columns))


def _points(visits: "pd.DataFrame") -> "pd.DataFrame":
    """One row a visit, DAS28 form and kind of Rau score; no identifier goes with it."""
    from scoring.report.figures import DAS28_FORMS

    long = visits.melt(
        id_vars=["reported_rau", "predicted_rau"], value_vars=list(DAS28_FORMS), var_name="activity", value_name="das28"
    ).melt(id_vars=["activity", "das28"], var_name="damage", value_name="rau")
    return long.dropna(subset=["das28", "rau"])


def _with_images(joints: "pd.DataFrame") -> "pd.DataFrame":
    from upath import UPath

    def read(uri: str) -> bytes | None:
        # The landing zone may be cleaned up long before the page is written again.
        try:
            return bytes(UPath(uri).read_bytes())
        except OSError:
            return None

    return joints.assign(image=joints["image_uri"].map(read))
