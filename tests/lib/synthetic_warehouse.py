"""A small synthetic warehouse that is the same on every machine: 40 patients, two batches, a change of the champion.

The last digits of a network's predictions depend on the processor. Here two models use the synthetic truth instead of
images; everything derived from their predictions is computed by the code of the nightly job.
"""

import hashlib
from datetime import date
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pandas as pd
import sqlalchemy as sa

from scoring.pipeline.run import Run
from scoring.settings import Settings

BATCHES = (date(2026, 11, 21), date(2026, 11, 22))
FORMER, CHAMPION = "example-1", "example-2"
PREPROCESSING = "grey128-v1"


def fill(site: Settings) -> None:
    from scoring.phantom.registry import simulate_registry
    from scoring.warehouse import connect
    from scoring.warehouse.publish import promotions

    engine = connect.warehouse(site)
    for version in (FORMER, CHAMPION):
        promotions.register_model(
            engine,
            {
                "version": version,
                "architecture": "none: it uses the truth",
                "input_side": 128,
                "preprocessing_version": PREPROCESSING,
                "files": {"weights.npz": {"sha256": hashlib.sha256(version.encode()).hexdigest()}},
                "trained_on_synthetic": True,
            },
        )
    promotions.promote(engine, FORMER, promoted_by="steward", reason="the first model")
    # The first batch has the oldest four fifths of the radiographs.
    registry = simulate_registry(40, seed=3, first_visit=date(2022, 11, 1), years=4.0)
    latest = sorted(registry.consultations["date_x"])[len(registry.consultations) * 4 // 5]
    received = []
    for number, batch in enumerate(BATCHES, start=1):
        late = batch == BATCHES[-1]
        rows = registry_rows(registry, batch, lambda day, late=late: (day >= latest) == late)
        if late:
            # The registry corrects one value of the first batch.
            corrected = received[0].activity.dropna(subset=["esr"]).head(1)
            place = {"source_file": rows.activity["source_file"].iloc[0], "row_number": len(rows.activity) + 2}
            corrected = corrected.assign(esr=77.0, batch_date=batch, **place)
            rows.activity = pd.concat([rows.activity, corrected], ignore_index=True)
        received.append(rows)
        nightly_run(site, number, batch, received[-1])
    rescoring_run(site, 3, received)
    comparison(engine, 4)
    promotions.promote(engine, CHAMPION, promoted_by="steward", reason="closer to the readings")


def registry_rows(registry, batch, belongs) -> SimpleNamespace:
    """Return the accepted rows of a batch, as landing stages them."""

    def staged(frame: pd.DataFrame, file: str, day: str) -> pd.DataFrame:
        rows = frame[[belongs(value) for value in frame[day]]].reset_index(drop=True)
        return rows.assign(source_file=f"{batch}/{file}", row_number=range(2, len(rows) + 2), batch_date=batch)

    consultations = staged(registry.consultations, "consultations.csv", "date_x")
    columns = [column for column in consultations if column.startswith("hand_")]
    readings = consultations.melt(
        id_vars=["id_x", "sop_iuid", "patient_id", "source_file", "row_number", "batch_date"],
        value_vars=columns,
        var_name="joint",
        value_name="reading_percent",
    ).dropna(subset=["reading_percent"])
    joints = registry.joints[registry.joints["sop_iuid"].isin(consultations["sop_iuid"])]
    joints = joints.dropna(subset=["erosion_true"]).reset_index(drop=True)
    return SimpleNamespace(
        consultations=consultations.drop(columns=columns),
        readings=readings,
        activity=staged(registry.disease_activity, "disease_activity.csv", "date"),
        images=pd.DataFrame([image(row.sop_iuid, row.joint, batch) for row in joints.itertuples()]),
        truth=joints["erosion_true"].to_numpy(dtype=float),
    )


def image(sop_iuid: str, joint: str, batch: date) -> dict[str, object]:
    name = f"{sop_iuid}_{joint}.jpg"
    return {
        "source_file": f"{batch}/joints/{name}",
        "row_number": 0,
        "batch_date": batch,
        "row_key": f"{batch}/joints/{name}",
        "file_name": name,
        "uri": f"landing/{batch}/joints/{name}",
        "size_bytes": 4000,
        "sha256": hashlib.sha256(name.encode()).hexdigest(),
        "sop_iuid": sop_iuid,
        "joint": joint,
        "color_space": "Gray",
        "width": 150,
        "height": 150,
        "brightness": 90.0,
        "contrast": 30.0,
    }


def predicted(images: pd.DataFrame, truth: np.ndarray, version: str) -> pd.DataFrame:
    """Return distributions around the truth in whole percent; the first model overestimates by a tenth."""
    from scoring.networks.readout import read_out

    center = np.clip(np.rint(truth * (1.1 if version == FORMER else 1.0)), 0, 100)[:, None]
    spread = 1 + np.rint(center / 6)
    # An intact joint has P(grade 0) = 0.9; otherwise ten intact joints would sum to a large score.
    center[center == 0] = -0.8
    cdf = np.clip((np.arange(101) - center + spread) / (2 * spread), 0, 1)
    cdf[:, -1] = 1
    found = read_out(cdf)
    return images[["sop_iuid", "joint"]].assign(
        image_sha256=images["sha256"],
        predicted_percent=found.mean,
        predicted_median=found.median,
        predicted_q05=found.q05,
        predicted_q95=found.q95,
        predicted_grade=found.grade,
        grade_probability=list(found.grade_probability),
        engine="none/float64",
    )


def nightly_run(site: Settings, number: int, batch: date, rows: SimpleNamespace) -> None:
    from scoring.pipeline import nightly
    from scoring.warehouse import connect
    from scoring.warehouse.engine import transaction
    from scoring.warehouse.publish import quarantine, registry, runs

    engine, run = connect.warehouse(site), open_run(site, number, batch, FORMER, "nightly_scoring")
    with transaction(engine) as connection:
        runs.publish_lock(connection)
        written = registry.publish_registry(
            connection, run.run_id, rows.consultations, rows.readings, rows.activity, rows.readings
        )
        for dataset, counts in written.items():
            lines = [("received", counts.new + counts.updated, ""), ("new", counts.new, "")]
            lines += [("updated", counts.updated, "")] if counts.updated else []
            runs.record_counts(connection, run.run_id, dataset, lines)
        publish(connection, run, rows.images, predicted(rows.images, rows.truth, FORMER))
        lines = [("received", len(rows.images) + 1, ""), ("scored", len(rows.images), "")]
        runs.record_counts(connection, run.run_id, "images", [*lines, ("quarantined", 1, "images.decodes")])
        quarantine.publish_quarantine(connection, run.run_id, quarantined(batch))
    nightly.analyse(site, run)
    runs.close_run(engine, run.run_id, "succeeded")


def rescoring_run(site: Settings, number: int, received: list[SimpleNamespace]) -> None:
    """Score the history with the second model, batch by batch, before it is promoted."""
    from scoring.pipeline import nightly
    from scoring.warehouse import connect
    from scoring.warehouse.engine import transaction
    from scoring.warehouse.publish import runs

    engine, run = connect.warehouse(site), open_run(site, number, BATCHES[-1], CHAMPION, "rescoring")
    for batch, rows in zip(BATCHES, received, strict=True):
        of_batch = Run(run.run_id, batch, CHAMPION, PREPROCESSING)
        with transaction(engine) as connection:
            runs.publish_lock(connection)
            publish(connection, of_batch, rows.images, predicted(rows.images, rows.truth, CHAMPION))
        nightly.analyse(site, of_batch)
    n_images = sum(len(rows.images) for rows in received)
    with transaction(engine) as connection:
        runs.record_counts(connection, run.run_id, "images", [("planned", n_images, ""), ("scored", n_images, "")])
    runs.close_run(engine, run.run_id, "succeeded")


def open_run(site: Settings, number: int, batch: date, version: str, job: str) -> Run:
    from scoring.warehouse import connect
    from scoring.warehouse.publish import runs

    run = Run(str(UUID(int=number)), batch, version, PREPROCESSING)
    runs.open_run(
        connect.warehouse(site),
        run.run_id,
        batch,
        trigger="cli",
        triggered_by="operator",
        code_revision="v0",
        model_version=version,
        job=job,
    )
    return run


def publish(connection, run, images: pd.DataFrame, predictions: pd.DataFrame) -> None:
    from scoring.analysis.rau import rau_predictions
    from scoring.warehouse.publish import predictions as store
    from scoring.warehouse.queries import analysis

    source = store.PredictionRun(run.run_id, run.batch_date, run.model_version, run.preprocessing_version, "v0")
    store.publish_predictions(connection, source, images, predictions)
    radiographs = sorted(set(images["sop_iuid"]))
    joints = analysis.radiograph_predictions(connection, run.model_version, run.preprocessing_version, radiographs)
    store.publish_rau(connection, source, rau_predictions(joints))


def quarantined(batch: date) -> pd.DataFrame:
    file = f"{batch}/joints/1.2.840.99999_hand_left_1.jpg"
    row = {
        "dataset": "images",
        "row_key": file,
        "record_id": None,
        "source_file": file,
        "row_number": 0,
        "batch_date": batch,
        "rule": "images.decodes",
        "severity": "critical",
        "kept": False,
        "reason": "The file ends before the image is complete.",
        "remedy": "Have the extractor write the file again.",
        "content_sha256": "c" * 64,
    }
    return pd.DataFrame([row])


def comparison(engine, number: int) -> None:
    """Record a retraining whose challenger was proposed."""
    from scoring.warehouse.engine import transaction
    from scoring.warehouse.publish import challenges, runs

    run_id = str(UUID(int=number))
    runs.open_run(
        engine,
        run_id,
        BATCHES[-1],
        trigger="cli",
        triggered_by="steward",
        code_revision="v0",
        model_version=None,
        job="retraining",
    )
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO scoring.training_snapshot (run_id, snapshot_sha256, cut_off, preprocessing_version,"
                " n_joints, n_patients, joints_by_grade, excluded, n_discordant, synthetic)"
                " VALUES (:run_id, :sha256, :cut_off, :preprocessing, 500, 30,"
                " '{300,150,30,10,5,5}', '{}', 0, TRUE)"
            ),
            {"run_id": run_id, "sha256": "5" * 64, "cut_off": BATCHES[-1], "preprocessing": PREPROCESSING},
        )
    facts = challenges.ChallengeFacts(
        "5" * 64, FORMER, CHAMPION, "accuracy_and_kappa", 0.5, 0.6, (0.05, 0.15), 100, 8, [], {CHAMPION: 0.6}, True,
        ["better by 0.1, and within the margin in every subgroup"],
    )  # fmt: skip
    challenges.record_challenge(engine, run_id, facts)
    runs.close_run(engine, run_id, "succeeded")
